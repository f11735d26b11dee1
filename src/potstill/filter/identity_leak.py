"""Identity leaks: text in which a model names itself or its maker, and so an undeclared source.

Only what is said in the first person counts. A customer who writes about ChatGPT, about a
bank's chatbot or about what some assistant told her speaks of a model, not as one.
"""
# ruff: noqa: RUF001 - the signs of other languages are meant

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from potstill.data import Example, Rejection, Text
from potstill.filter.base import reject

UNNAMED = "an unnamed model"

# Nobody but a model is called this.
_NAMES = (
    r"Chat\s?GPT(?:-?\d\w*)?|GPT-\d(?:\.\d)?\w*|Qwen[\w.-]*|QwQ|DeepSeek(?:[- ][\w.]+)?|SmolLM\d?|通义千问|文心一言|ERNIE\s?Bot"
    r"|Hunyuan|混元|ChatGLM[\w-]*|InternLM|Gemma[- ]?\d|LLaMA[- ]?\d[\w.]*|Phi-\d[\w.]*|Mixtral|深度求索|豆包|Doubao"
)
# These are also called by people, stars, animals and winds: a word of the trade must stand near.
_SHARED_NAMES = r"Claude|Gemini|Gemma|Bard|Llama|LLaMA|Mistral|Grok|Copilot|Kimi|Nova|Phi|Yi|Falcon|Command\s?R\+?|Le\s?Chat|Pi"
_MAKERS = (
    r"OpenAI|Open\s?AI|Anthropic|Google(?:\s+DeepMind)?|DeepMind|Alibaba(?:\s+Cloud)?|阿里巴巴|阿里云|DeepSeek|深度求索|Meta(?:\s+AI)?"
    r"|Mistral(?:\s+AI)?|Microsoft|xAI|Cohere|Hugging\s?Face|百度|Baidu|腾讯|Tencent|ByteDance|字节跳动|Moonshot(?:\s+AI)?|月之暗面"
    r"|Zhipu(?:\s+AI)?|智谱|Nvidia|Amazon|IBM|Apple|Databricks|01\.AI|AI21|Stability\s?AI|Inflection"
)
_KIND = (
    r"(?:(?:virtual|digital|large|AI|artificial\s+intelligence|machine|text-based|neural|helpful|friendly|advanced|conversational|generative)[\s,-]+)*"
    r"(?:AI(?:-based)?(?:\s+(?:language\s+)?(?:model|assistant|chatbot|system|program))?|artificial\s+intelligence(?:\s+(?:language\s+)?(?:model|assistant|system|program))?"
    r"|(?:language|generative)\s+model|LLM|chatbot)"
)
# "As an AI engineer", "I am an AI researcher": the word goes on to a person.
_NO_PERSON = (
    r"(?![\w-]|\s+(?:engineer|researcher|scientist|developer|expert|student|company|start-?up|consultant|professor|lead|team"
    r"|specialist|enthusiast|user|customer|trainer|ethicist|skeptic|sceptic|fan|business|firm|vendor|provider|practitioner|architect|analyst|manager)s?\b)"
)
_MADE = r"(?:created|developed|trained|made|built|designed|fine-?tuned|released|produced|powered|programmed)"

_SELF = (
    # "I am ChatGPT", "My name is Qwen", "call me DeepSeek"
    rf"\b(?:I\s+am|I['’]m|my\s+name\s+is|this\s+is)\s+(?P<name1>{_NAMES})(?!\s*(?:user|customer|subscriber|-generated|-like))\b",
    # "I am Claude, an AI assistant made by Anthropic"
    rf"\b(?:I\s+am|I['’]m|my\s+name\s+is)\s+(?P<name2>{_SHARED_NAMES})\b[^.!?\n]{{0,40}}?(?:\b(?:{_KIND})\b{_NO_PERSON}|\b{_MADE}\s+by\s+(?:{_MAKERS})\b)",
    # "I am an AI assistant", "I'm just a large language model trained by OpenAI"
    rf"\b(?:I\s+am|I['’]m)\s+(?:just\s+|only\s+|merely\s+|simply\s+|actually\s+|currently\s+)*an?\s+{_KIND}{_NO_PERSON}"
    rf"(?:[^.!?\n]{{0,60}}?\b(?:by|named|called|from)\s+(?P<name3>{_NAMES}|{_MAKERS}|{_SHARED_NAMES}|\w+)\b)?",
    # "As an AI language model, I", "As a model developed by Google"
    rf"\bas\s+an?\s+{_KIND}{_NO_PERSON}(?:[^.!?\n]{{0,40}}?\b{_MADE}\s+by\s+(?P<name4>{_MAKERS}))?(?:\s*,|\s+(?:I\b|my\b|{_MADE})|[^.!?\n]{{0,60}},\s*(?:I|my)\b)",
    # "I was created by OpenAI"; a person is hired, paid or trained by a company, too
    rf"\b(?:I\s+was|I\s+am|I['’]m|I\s+have\s+been|I['’]ve\s+been)\s+(?:created|developed|fine-?tuned|programmed|built)\s+by\s+(?P<name5>{_MAKERS})\b",
    rf"\b(?:I\s+was|I\s+am|I['’]m|I\s+have\s+been|I['’]ve\s+been)\s+an?\s+[^.!?\n]{{0,30}}\bmodel\s+{_MADE}\s+by\s+(?P<name6>{_MAKERS})\b",
    r"\bmy\s+(?:knowledge|training)\s+(?:cut-?off|data\b[^.!?\n]{0,30}\b(?:goes|extends|includes|only|up\s+to|until))",
    # German
    rf"\b(?:ich\s+bin|mein\s+Name\s+ist|ich\s+heiße)\s+(?P<name7>{_NAMES})\b",
    r"\b(?:als|ich\s+bin\s+(?:nur\s+)?)\s*(?:ein(?:e)?\s+)?(?:große[sr]?\s+)?(?:KI|künstliche\s+Intelligenz)(?:-(?:Sprachmodell|Modell|Assistent(?:in)?|System|Chatbot)|\s+(?=(?:kann|habe|bin|darf|verfüge|besitze)\s+ich\b))",
    r"\b(?:als|ich\s+bin)\s+(?:ein\s+)?(?:großes\s+)?Sprachmodell\b",
    rf"\bich\s+(?:wurde|bin)\s+von\s+(?P<name8>{_MAKERS})\s+(?:entwickelt|erstellt|trainiert|geschaffen)",
    # French
    rf"\b(?:je\s+suis|je\s+m['’]appelle|mon\s+nom\s+est)\s+(?P<name9>{_NAMES})\b",
    r"\b(?:en\s+tant\s+qu(?:e|['’])|je\s+suis)\s*(?:une?\s+)?(?:grand\s+)?(?:modèle\s+de\s+langage|assistant(?:e)?\s+(?:virtuel(?:le)?|IA)|IA\b(?!\s+\w+(?:eur|iste))|intelligence\s+artificielle)",
    rf"\bj['’]ai\s+été\s+(?:créée?|développée?|entraînée?|conçue?)\s+par\s+(?P<name10>{_MAKERS})",
    # Spanish, Portuguese, Italian
    rf"\b(?:soy|me\s+llamo|mi\s+nombre\s+es|sou|eu\s+sou|meu\s+nome\s+é|sono|mi\s+chiamo)\s+(?P<name11>{_NAMES})\b",
    r"\b(?:como|soy|sou|come|sono)\s+(?:un[ao]?\s+|uma?\s+)?(?:gran(?:de)?\s+)?(?:modelo\s+de\s+(?:lenguaje|linguagem)|modello\s+linguistico|asistente\s+(?:virtual|de\s+IA)|assistente\s+(?:virtuale?|(?:de|di)\s+IA)|inteligencia\s+artificial|inteligência\s+artificial|intelligenza\s+artificiale)",
    rf"\b(?:fui\s+(?:cread|desarrollad|entrenad|criad|desenvolvid|treinad)[oa]|sono\s+stat[oa]\s+(?:cread|creat|sviluppat|addestrat)[oa])\s+(?:por|pela|pelo|da|dalla)\s+(?P<name12>{_MAKERS})",
    # Chinese, Japanese, Russian
    rf"(?:我是|我叫|我的名字是)(?:由)?(?P<name13>{_NAMES}|{_MAKERS})",
    r"(?:作为|我是)(?:一个|一名|一款|由)?[^。！？\n]{0,16}(?:人工智能|AI|语言模型|大模型)(?:助手|模型|语言模型)?",
    r"(?:私は|AI(?:言語モデル|アシスタント)として)[^。！？\n]{0,20}(?:AI|人工知能|言語モデル)",
    rf"\bя\s*(?:[-—–]|являюсь)?\s*(?P<name14>{_NAMES})\b",
    r"\b(?:как|я\s*(?:[-—–]|являюсь)?)\s*(?:большая\s+)?(?:языков(?:ая|ой)\s+модель|искусственный\s+интеллект|ИИ-(?:ассистент|модель))",
)
_LEAK = re.compile("|".join(f"(?:{pattern})" for pattern in _SELF), re.IGNORECASE)

# Somebody else's words: in quotation marks, or told with "it said".
_QUOTED = re.compile(
    r"\"[^\"\n]{1,600}\"|“[^”]{1,600}”|„[^“”]{1,600}[“”]|«[^»]{1,600}»|「[^」]{1,600}」|^[ \t]*>.*$",
    re.MULTILINE,
)
_REPORTED = re.compile(
    r"\b(?:said|says|saying|replied|replies|answered|answers|told\s+me|tells\s+me|wrote|writes|responded|responds|claimed|claims|that"
    r"|sagte?|antwortete?|schrieb|dit|répondu|dice|dijo|respondió|disse|ha\s+risposto)\b[^.!?\n]{0,20}[:,]?\s*(?:that\s+)?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Leak:
    """A passage in which a model speaks of itself.

    Attributes:
        name: the model or maker that it names; `UNNAMED` where it only says what it is.
        passage: its words.
    """

    name: str
    passage: str


def find_leak(text: str, *, quotations: bool = False) -> Leak | None:
    """The first passage of a text in which a model names itself; None where there is none.

    Args:
        text: anything.
        quotations: also look at what is quoted or told of somebody else's words.
    """
    heard = text if quotations else _QUOTED.sub(lambda found: " " * len(found[0]), text)
    for found in _LEAK.finditer(heard):
        if not quotations and _REPORTED.search(heard[: found.start()]):
            continue
        named = next((name for name in found.groupdict().values() if name), UNNAMED)
        return Leak(" ".join(named.split()), " ".join(found[0].split()))
    return None


@dataclass(frozen=True)
class IdentityLeak:
    """Rejects rows in whose input, thought or text a model names itself or its maker.

    Inputs are looked at whoever is said to have written them: a model that speaks in a file of
    customers' letters is just what the lineage does not know. A person's row stays.
    """

    name: str = "identity_leak"

    def __call__(self, examples: Sequence[Example], /) -> list[Rejection]:
        """See `Filter`."""
        rejected: list[Rejection] = []
        for example in examples:
            if example.is_gold:
                continue
            for part, text in _parts(example):
                leak = find_leak(text)
                if leak is not None:
                    detail = f"its {part} names {leak.name}: {leak.passage[:80]!r}"
                    rejected.append(reject(example, self.name, "identity_leak", detail))
                    break
        return rejected


def _parts(example: Example) -> Iterator[tuple[str, str]]:
    yield "input", example.text
    if example.reasoning:
        yield "thought", example.reasoning
    if isinstance(example.target, Text):
        yield "text", example.target.text
