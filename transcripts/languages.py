"""In which languages words are cut to their stems, and which say too little to be searched for.

The stemmers are the Snowball dictionaries that every PostgreSQL has. They are asked only for
words without accents (`transcripts.folding`), so stop words that lose one are listed here, with
a few that its lists lack.
"""

from typing import Final

PLAIN: Final = "xx"
"""Stands for every language without a stemmer here: its words match as they are."""

DICTIONARIES: Final = {
    "en": "english_stem",
    "it": "italian_stem",
    "fr": "french_stem",
    "de": "german_stem",
    "es": "spanish_stem",
    "pt": "portuguese_stem",
    "nl": "dutch_stem",
    "sv": "swedish_stem",
    "da": "danish_stem",
    "no": "norwegian_stem",
    "ru": "russian_stem",
    PLAIN: "simple",
}

_SAME: Final = {"nb": "no", "nn": "no"}

MORE_STOP_WORDS: Final = {
    language: frozenset(words.split())
    for language, words in {
        "it": "piu si perche cosi cioe gia pero puo sara saro avra avro fara faro stara staro",
        "fr": "les a plus comme tout bien ou ete etee etees etes etant etante etais etait"
        " etions etiez etaient etre meme tres fumes futes fut eumes eutes eut voila deja apres",
        "de": "fur uber wahrend wurde wurden konnen konnte dass",
        "es": "mas si tambien mi que el tu mia mias mios estas esta estan este esten habia habian"
        " habra habran seria serian sera seran tenia tenian asi aqui",
        "pt": "nao ja tambem so ate voce voces nos esta estao ha hao sao sera serao tinhamos tera"
        " terao entao",
        "sv": "pa sa da dar fran over at han har nagon nagot nagra sjalv sadan vart varfor",
        "da": "pa nar vaere ogsa vaeret sadan",
        "no": "pa sa na nar vaere bade ogsa vart",
    }.items()
}
"""Swedish `är` is missing on purpose: without its ring `år`, a year, is the same."""


def searched_language(tag: str) -> str:
    """The stemmer's language of a BCP 47 tag, or PLAIN."""
    language = tag.partition("-")[0].lower()
    language = _SAME.get(language, language)
    return language if language in DICTIONARIES else PLAIN


def base_language(tag: str) -> str:
    """`pt` of `pt-BR`; what filters compare."""
    return tag.partition("-")[0].lower()
