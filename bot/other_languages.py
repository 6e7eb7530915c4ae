"""Languages the bot does not speak: recognised only to say so, in them, and to offer those it speaks.

Each sentence says «I cannot answer in this language yet. Please choose one of these languages.» They are for languages
heard around here; no native speaker has reviewed them yet.
"""

SENTENCES = {
    "am": "ለጊዜው በአማርኛ መመለስ አልችልም። እባክዎ ከታች አንድ ቋንቋ ይምረጡ።",
    "bg": "Все още не мога да отговарям на български. Моля, изберете един от тези езици.",
    "de": "Auf Deutsch kann ich noch nicht antworten. Bitte wählen Sie eine dieser Sprachen.",
    "el": "Δεν μπορώ ακόμη να απαντήσω στα ελληνικά. Παρακαλώ διαλέξτε μία από αυτές τις γλώσσες.",
    "he": "אני עדיין לא יכול לענות בעברית. נא לבחור אחת מהשפות האלה.",
    "hi": "मैं अभी हिन्दी में उत्तर नहीं दे सकता। कृपया इनमें से एक भाषा चुनें।",
    "hr": "Još ne mogu odgovarati na ovom jeziku. Molimo izaberite jedan od ovih jezika.",
    "hu": "Magyarul még nem tudok válaszolni. Kérem, válasszon egyet ezek közül a nyelvek közül.",
    "hy": "Ես դեռ չեմ կարող պատասխանել հայերեն։ Խնդրում եմ ընտրեք այս լեզուներից մեկը։",
    "ja": "まだ日本語ではお答えできません。次の言語から選んでください。",
    "ka": "ქართულად პასუხი ჯერ არ შემიძლია. გთხოვთ, აირჩიოთ ერთ-ერთი ამ ენათაგან.",
    "ko": "아직 한국어로는 대답할 수 없습니다. 다음 언어 중 하나를 선택해 주세요.",
    "nl": "Ik kan nog niet in het Nederlands antwoorden. Kies een van deze talen.",
    "pa": "ਮੈਂ ਅਜੇ ਪੰਜਾਬੀ ਵਿੱਚ ਜਵਾਬ ਨਹੀਂ ਦੇ ਸਕਦਾ। ਕਿਰਪਾ ਕਰਕੇ ਇਹਨਾਂ ਵਿੱਚੋਂ ਇੱਕ ਭਾਸ਼ਾ ਚੁਣੋ।",
    "pl": "Nie mogę jeszcze odpowiadać po polsku. Proszę wybrać jeden z tych języków.",
    "si": "මට තවම සිංහලෙන් පිළිතුරු දිය නොහැක. කරුණාකර මෙම භාෂාවලින් එකක් තෝරන්න.",
    "so": "Weli kuma jawaabi karo af Soomaali. Fadlan dooro mid ka mid ah luqadahan.",
    "sw": "Bado siwezi kujibu kwa Kiswahili. Tafadhali chagua moja ya lugha hizi.",
    "ta": "என்னால் இன்னும் தமிழில் பதிலளிக்க முடியாது. இந்த மொழிகளில் ஒன்றைத் தேர்ந்தெடுக்கவும்.",
    "th": "ยังไม่สามารถตอบเป็นภาษาไทยได้ กรุณาเลือกภาษาใดภาษาหนึ่งต่อไปนี้",
    "tl": "Hindi pa ako makasagot sa Tagalog. Pumili po ng isa sa mga wikang ito.",
    "vi": "Tôi chưa thể trả lời bằng tiếng Việt. Vui lòng chọn một trong các ngôn ngữ này.",
}

BY_SCRIPT = {
    "ARMENIAN": "hy",
    "DEVANAGARI": "hi",
    "ETHIOPIC": "am",
    "GEORGIAN": "ka",
    "GREEK": "el",
    "GURMUKHI": "pa",
    "HANGUL": "ko",
    "HEBREW": "he",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "SINHALA": "si",
    "TAMIL": "ta",
    "THAI": "th",
}
"""Scripts that no language we speak is written in, and the language most likely meant."""

BY_LETTERS = {"LATIN": ("de", "hr", "hu", "nl", "pl", "so", "sw", "tl", "vi"), "CYRILLIC": ("bg",)}
"""Recognised by statistics among the languages of a script; on these alone, because dialects and Latin spellings of
Arabic or Urdu look like many another language."""

SAME = {"bs": "hr", "sr": "hr"}
"""Languages for which one sentence does."""
