# ruff: noqa: RUF001 - the signs of other languages are meant
import pytest

from potstill.data import Example, Source
from potstill.filter import IdentityLeak
from potstill.filter.identity_leak import UNNAMED, find_leak


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("I am Qwen, created by Alibaba Cloud.", "Qwen"),
        ("Hello! I'm ChatGPT and I can help.", "ChatGPT"),
        ("As an AI language model, I cannot open accounts.", UNNAMED),
        ("As an AI, I do not have a card of my own.", UNNAMED),
        ("I'm a large language model trained by Google.", "Google"),
        ("I am Claude, an AI assistant made by Anthropic.", "Claude"),
        ("I was created by OpenAI to be helpful.", "OpenAI"),
        ("As an AI model developed by OpenAI, I have no bank account.", "OpenAI"),
        ("I'm an AI assistant named SmolLM, trained by Hugging Face.", "SmolLM"),
        ("My knowledge cutoff is in 2023.", UNNAMED),
        ("Ich bin ein großes Sprachmodell und habe keine Karte.", UNNAMED),
        ("Als KI-Assistent kann ich das nicht beurteilen.", UNNAMED),
        ("En tant que modèle de langage, je ne peux pas répondre.", UNNAMED),
        ("Como modelo de lenguaje, no tengo una cuenta.", UNNAMED),
        ("Je m'appelle DeepSeek.", "DeepSeek"),
        ("我是通义千问，由阿里云开发。", "通义千问"),
        ("作为一个人工智能语言模型，我没有银行账户。", UNNAMED),
        ("Как языковая модель, я не имею карты.", UNNAMED),
    ],
)
def test_a_model_that_speaks_of_itself_is_found_and_named(text, name):
    leak = find_leak(text)
    assert leak is not None
    assert leak.name == name
    assert leak.passage in " ".join(text.split())


@pytest.mark.parametrize(
    "text",
    [
        "I used ChatGPT to write this complaint because my English is poor.",
        "Your bank's chatbot is useless, it is an AI that understands nothing.",
        "I am Claude Dupont and my card was stolen.",
        "My name is Gemini Rodriguez, I opened an account in May.",
        "I'm a Gemini and a loyal customer.",
        "As an AI engineer, I know how these systems fail.",
        "I am an AI researcher at OpenAI and cannot pay with your card.",
        "I was hired by Google and need a salary account.",
        "ChatGPT, developed by OpenAI, told me to dispute the charge.",
        'The chat answered: "As an AI language model, I cannot refund you."',
        "The assistant said that as an AI language model it could not help.",
        "I asked and it replied: I am ChatGPT and cannot see your account.",
        "I pay OpenAI 20 dollars a month and was charged twice.",
        "I was trained by Amazon for the warehouse job.",
        "Meine Bank nutzt eine KI, die nichts versteht.",
        "J'ai demandé à ChatGPT d'écrire cette lettre.",
        "Como cliente de este banco, no estoy contento con el asistente virtual.",
    ],
)
def test_a_person_who_speaks_of_models_is_left_alone(text):
    assert find_leak(text) is None


def test_inputs_and_thoughts_are_looked_at_and_persons_stay():
    leak = "As an AI language model, I cannot tell."
    person = Source(kind="person", name="p", contributed=("target",), stage="read")
    rows = [
        Example(id="input", input=leak, target="a"),
        Example(id="thought", input="my card", target="a", reasoning=leak),
        Example(id="gold", input=leak, target="a", sources=(person,)),
        Example(id="clean", input="my card", target="a", reasoning="It is about a card."),
    ]
    rejected = IdentityLeak()(rows)
    assert [r.id for r in rejected] == ["input", "thought"]
    assert "its thought names an unnamed model" in rejected[1].detail
