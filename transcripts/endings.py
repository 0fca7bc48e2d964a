"""What a word that is still being typed may end in.

Stems are shorter than words: who has typed "conversaz" is past "convers", which is what
"conversazione" is found by. So the word is finished in each way that its language knows, and
searched for by the stems that this gives, of those that were ever said.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Final

SHORTEST: Final = 3
"""Of fewer letters too much could become; stems that begin with them are found anyway."""

VOWELS: Final = "aeiouyаеиоуыэюя"
"""Of two that are the same no stemmer takes one, but the Dutch."""

ENDINGS: Final = {
    language: frozenset(endings.split())
    for language, endings in {
        "en": "s es ed ing ings er ers est ly y ies ied e ness ful fully less ment ments ion ions"
        " ional ation ations able ible ably ity ities al ally ance ances ence ences ous ously ive"
        " ives ively ize izes ized izing ization ism ist ists ical ically ant ent ish ingly edly",
        "it": "o a i e io ia ie are ere ire ando endo ato ata ati ate uto uta uti ute ito ita iti"
        " ite azione azioni izione izioni uzione uzioni amento amenti imento imenti mente atore"
        " atori atrice atrici anza anze enza enze ico ica ici iche abile abili ibile ibili ista"
        " isti iste ismo oso osa osi ose ivo iva ivi ive ativo ativa ativi ative iamo iate ano ono"
        " ava eva avo evo avano evano ivano avamo evamo ero era ero erai eremo erete eranno iranno"
        " arono erono irono asse esse isse erebbe erebbero",
        "fr": "e s es er ir re ent ons ez ais ait aient ions iez ai as ant ants ante antes ee ees i"
        " ie is it ies u ue us ues erai eras era erons erez eront erait eraient issons issez"
        " issent issant issait ation ations ition itions ateur ateurs atrice ement ements ment eux"
        " euse euses if ive ifs ives ite ites able ables ible ibles isme iste istes ance ances"
        " ence ences ique iques al ale aux ales age ages eur eurs",
        "de": "e n s t en er ern em es est st te ten tet end ende enden ung ungen heit heiten keit"
        " keiten ig ige igen iger lich liche lichen isch ische ischen bar",
        "es": "o a e os as es ar er ir ando iendo ado ada ados adas ido ida idos idas acion"
        " aciones icion iciones amiento amientos imiento imientos mente ador adora adores ancia"
        " ancias encia encias ico ica icos icas able ables ible ibles ista istas ismo oso osa osos"
        " osas idad idades ivo iva ivos ivas amos emos imos an en aba abas aban ia ian are ara"
        " aran aremos aria arian eria iria aron ieron",
        "pt": "o a e os as es ar er ir ando endo indo ado ada ados adas ido ida idos idas amento"
        " amentos imento imentos mente ador adora adores ancia ancias encia encias ico ica icos"
        " icas avel ivel ista istas ismo oso osa osos osas idade idades ivo iva ivos ivas amos"
        " emos imos am em ava avam ia iam ou eu iu aram eram iram aria eria iria",
        "nl": "e n s t d en de den te ten end ende ing ingen heid heden lijk lijke ig ige baar er"
        " ers je jes",
        "sv": "a e s ar are aren arna as ad ade ades ande andet en er erna es et or orna het heten"
        " ig iga lig liga ning ningar ningen",
        "da": "e s en er erne es et ede ende ens ene ere hed heden heder ning ninger ningen ig lig"
        " lige else elser",
        "no": "a e s en er ene ane et ede ende ast este het heten heter ning ninger ningen ig lig"
        " lige else elser",
        "ru": "а я о е и ы у ю ь ом ем ой ей ам ям ами ями ах ях ов ев ый ий ая яя ое ее ые ие ого"
        " его ому ему ым им ых их ую юю ть ти л ла ло ли ет ют ит ят ут ешь ишь ете ите ал ала али"
        " ил ила или ать ять еть ить ание ания ение ения ость ости аться иться лся лась лись",
    }.items()
}
"""Without accents, as `transcripts.folding` leaves words."""


def finished(word: str, language: str) -> set[str]:
    """Words that it may become; each is one only if its stem was said."""
    if len(word) < SHORTEST:
        return set()
    return set(_finished(word, language))


def _finished(word: str, language: str) -> Iterator[str]:
    """What only follows on the whole word has a stem that begins with it, but for `runn-ing`."""
    begun = _begun_endings(language)
    doubled = word[-1] == word[-2] and (language == "nl" or word[-1] not in VOWELS)
    for typed in range(0 if doubled else 1, len(word) - 1):
        for rest in begun.get(word[len(word) - typed :], ()):
            yield word + rest


@cache
def _begun_endings(language: str) -> Mapping[str, Sequence[str]]:
    """How the endings go on, by what is typed of them."""
    rests: dict[str, list[str]] = {}
    for ending in ENDINGS.get(language, ()):
        for typed in range(len(ending)):
            rests.setdefault(ending[:typed], []).append(ending[typed:])
    return rests
