"""Random sentences in several scripts. Every seed gives other ones, so that no parser is tuned to a text."""

# Plain words of each language; sentences are lists of them and mean nothing.
WORDS = {
    "en": "river stone harbour lantern quiet window copper journey market winter orchard signal paper bridge velvet meadow "
    "captain ribbon garden thunder office fluffy affine shuffle difficult waffle",
    "de": "Straße Größe Übung Brücke Fluss Käse Jäger Mühle schön täglich Wörter Gefäß heißt Öffnung Büro Schlüssel",
    "fr": "élève garçon forêt naïf œuvre château hôpital déjà Noël façade rêve sœur mètre théâtre août",
    "ru": "река камень гавань фонарь тихий окно медь дорога рынок зима сад сигнал бумага мост бархат поле",
    "el": "ποτάμι πέτρα λιμάνι φανάρι ήσυχο παράθυρο χαλκός ταξίδι αγορά χειμώνας κήπος σήμα χαρτί γέφυρα",
    "ar": "نهر حجر ميناء فانوس هادئ نافذة نحاس رحلة سوق شتاء بستان إشارة ورق جسر مخمل مرج",
    "he": "נהר אבן נמל פנס שקט חלון נחושת מסע שוק חורף בוסתן אות נייר גשר קטיפה אחו",
}
RIGHT_TO_LEFT = ("ar", "he")


def sentence(random, language, count=9):
    """`count` words; European ones begin with a capital and end with a full stop."""
    words = [random.choice(WORDS[language].split()) for _ in range(count)]
    text = " ".join(words)
    return text if language in RIGHT_TO_LEFT else text[0].upper() + text[1:] + "."


def lines(random, language, count, words=9):
    """`count` sentences of one line each."""
    return [sentence(random, language, words) for _ in range(count)]
