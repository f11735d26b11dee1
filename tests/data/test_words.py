from potstill.data.words import Words, fold


def found(text, wanted):
    return [text[start:end] for start, end in Words(text).find(Words(wanted))]


def test_case_white_space_and_punctuation_do_not_count():
    text = "between NIKE,\r\nInc. (\u201cNike\u201d), and Nike  Inc"
    assert found(text, "Nike Inc.") == ["NIKE,\r\nInc", "Nike  Inc"]
    assert found(text, "nike") == ["NIKE", "Nike", "Nike"]


def test_whole_words_alone_count():
    assert found("Annual report of Ann Taylor", "Ann") == ["Ann"]
    assert found("Annual", "Ann") == []
    assert found("Joann", "ann") == []


def test_gaps_within_a_name_do_not_count():
    assert found("Green & Partners, L.P.", "Green and Partners LP") == ["Green & Partners, L.P"]
    assert found("NON -COMPETITION", "Non-Competition") == ["NON -COMPETITION"]
    assert found("confi\u00ad\ndential", "confidential") == ["confi\u00ad\ndential"]
    assert found("Leggett &\nPlatt, Incorporated", "Leggett and Platt Inc.") == [
        "Leggett &\nPlatt, Incorporated"
    ]


def test_combining_marks_stay_with_their_letters():
    composed, decomposed = (
        "Soci\u00e9t\u00e9 G\u00e9n\u00e9rale",
        "Socie\u0301te\u0301 Ge\u0301ne\u0301rale",
    )
    text = f"by {decomposed}, Paris"
    assert found(text, composed) == [decomposed]
    assert found(text, "Societe Generale") == [decomposed]
    assert found(
        "\u0939\u093f\u0928\u094d\u0926\u0940 \u092d\u093e\u0937\u093e",
        "\u0939\u093f\u0928\u094d\u0926\u0940",
    ) == ["\u0939\u093f\u0928\u094d\u0926\u0940"]


def test_scripts_without_spaces_and_scripts_mixed():
    text = "\u7532\u65b9\uff1a\u7d22\u5c3c\u682a\u5f0f\u4f1a\u793e\u4e0eSony\u0646\u0627\u064a\u0643\u3002"
    assert found(text, "\u7d22\u5c3c") == ["\u7d22\u5c3c"]
    assert found(text, "\u682a\u5f0f\u4f1a\u793e") == ["\u682a\u5f0f\u4f1a\u793e"]
    full_width = "\uff33\uff4f\uff4e\uff59 \u682a"
    assert found(full_width, "Sony") == ["\uff33\uff4f\uff4e\uff59"]


def test_characters_beyond_the_first_plane_count_one_each():
    text = "\U0001f600\U0001f600 Acme \U00020000\U00020001"
    assert list(Words(text).find(Words("acme"))) == [(3, 7)]
    assert found(text, "\U00020001") == ["\U00020001"]


def test_lone_surrogates_are_only_characters():
    text = "x \ud800 Acme"
    assert found(text, "Acme") == ["Acme"]


def test_nothing_is_nowhere():
    assert found("anything", "") == []
    assert found("", "anything") == []
    assert found("anything", "?!") == []
    assert found("a", "a") == ["a"]


def test_the_last_letters_of_a_text_are_no_word_of_their_own():
    assert found("Joann", "n") == []


def test_a_word_that_is_all_marks_is_still_one():
    assert fold("\u0301") == "\u0301"
    assert fold("\u00df") == "ss"
    assert fold("Limited") == "ltd"


def test_the_words_around_a_part():
    words = Words("and Xyratex Technology Limited.")
    place = words.folded.index("xyratex")
    whole = (4, 30)
    assert words.around(place, len(words.folded)) == whole
    assert words.around(place - 1, len(words.folded)) == whole
    assert words.around(place + 1, len(words.folded) - 1) == whole
