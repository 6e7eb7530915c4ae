"""What somebody who asks, an editor and an operator of a small machine notice of the search."""

import json
import pickle
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge_base.confidence import Judge, Lessons, Numbers, Thresholds, choose_thresholds
from knowledge_base.evaluation import bench_search, evaluate_search, held_out
from knowledge_base.search import Band, Document, Hit, Index, SearchResult

TOPICS = {
    "doctor": ("Medico di base", ("medico", "dottore", "febbre", "malato", "ricetta", "ambulatorio")),
    "house": ("Casa in affitto", ("casa", "affitto", "alloggio", "stanza", "padrone", "contratto")),
    "permit": ("Permesso di soggiorno", ("permesso", "soggiorno", "questura", "rinnovo", "kit", "impronte")),
    "italian": ("Corso di italiano", ("italiano", "corso", "imparare", "lingua", "scuola", "lezione")),
    "food": ("Pacco alimentare", ("cibo", "mangiare", "fame", "spesa", "mensa", "pasto")),
}
FRAMES = ("dove trovo {}", "mi serve {} per {}", "ho un problema con {} e {}", "{}", "come funziona {}?", "aiuto {} {}")
STRANGE = ("calcio", "pioggia", "oroscopo", "bitcoin", "ricette", "meteo", "film", "barzelletta", "aereo", "canzone")


def _questions(words: Sequence[str], frames: Sequence[str] = FRAMES) -> tuple[str, ...]:
    return tuple(
        frame.format(first, second)
        for frame in frames
        for first, second in zip(words, [*words[1:], words[0]], strict=True)
    )


def _document(topic: str, **changes: object) -> Document:
    title, words = TOPICS[topic]
    document = Document(topic, "it", title, f"Qui si parla di {', '.join(words)}.", _questions(words))
    return replace(document, **changes)  # type: ignore[arg-type]  # each test names what it changes


OUTSIDE = {"it": _questions(STRANGE, FRAMES[:4])}


@pytest.fixture(scope="module")
def index() -> Index:
    return Index.build([_document(topic) for topic in TOPICS], OUTSIDE)


def _ids(result: SearchResult) -> list[str]:
    return [hit.id for hit in result.hits]


def test_a_clear_question_is_answered_surely(index: Index) -> None:
    result = index.search("Buongiorno, ho la FEBBRE: mi serve un medico", "it")
    assert result.band is Band.SURE
    assert _ids(result)[0] == "doctor"


def test_a_word_that_nobody_wrote_that_way_is_still_understood(index: Index) -> None:
    assert index.rank("rinovo permeso di sogiorno", "it")[0].id == "permit"


def test_a_question_between_two_entries_gives_both_as_choices(index: Index) -> None:
    result = index.search("come funziona medico con alloggio", "it")
    assert result.band is Band.UNSURE
    assert set(_ids(result)[:2]) == {"doctor", "house"}


def test_there_are_never_more_choices_than_asked_for(index: Index) -> None:
    assert len(index.search("medico casa permesso italiano cibo", "it").hits) <= 3
    assert len(index.search("medico casa permesso italiano cibo", "it", limit=1).hits) == 1


def test_a_question_that_no_entry_answers_is_unknown_and_shows_nothing(index: Index) -> None:
    assert index.search("che film danno con questa pioggia", "it") == SearchResult(Band.UNKNOWN, (), "it")


def test_scores_are_probabilities_best_first(index: Index) -> None:
    scores = [hit.score for hit in index.rank("medico o scuola?", "it", limit=5)]
    assert scores == sorted(scores, reverse=True)
    assert 0 <= min(scores) <= sum(scores) <= 1 + 1e-9


def test_what_is_offered_elsewhere_is_no_candidate() -> None:
    here = Index.build([_document("doctor", places=frozenset({"Ivrea"})), _document("house")], OUTSIDE)
    assert _ids(here.search("medico febbre", "it", place="Ivrea"))[0] == "doctor"
    assert _ids(here.search("medico febbre", "it"))[0] == "doctor"
    assert "doctor" not in [hit.id for hit in here.rank("medico febbre", "it", place="Banchette")]


def test_what_is_offered_everywhere_is_found_in_every_place(index: Index) -> None:
    assert _ids(index.search("mi serve un medico", "it", place="Rueglio"))[0] == "doctor"


def test_a_place_where_nothing_is_offered_has_no_answer() -> None:
    here = Index.build([_document("doctor", places=frozenset({"Ivrea"}))])
    assert here.search("medico", "it", place="Rueglio") == SearchResult(Band.UNKNOWN, (), "it")


@pytest.mark.parametrize("train", [True, False])
def test_an_edit_is_found_and_the_old_index_stays_as_it_was(index: Index, train: bool) -> None:
    bank = Document("bank", "it", "Conto corrente", "Aprire un conto in banca.", ("sportello bancario", "iban gratis"))
    edited = index.replace([bank], train=train)
    assert _ids(edited.search("Sportello bancario?", "it"))[0] == "bank"
    assert "bank" not in [hit.id for hit in index.rank("Sportello bancario?", "it")]


def test_a_question_that_an_editor_attaches_finds_its_entry_at_once(index: Index) -> None:
    lice = _document("doctor", questions=(*_document("doctor").questions, "mio figlio ha i pidocchi"))
    assert _ids(index.replace([lice]).search("pidocchi", "it"))[0] == "doctor"


def test_an_entry_that_is_taken_off_is_found_no_more(index: Index) -> None:
    assert "food" not in [hit.id for hit in index.replace([], ids=["food"]).rank("ho fame", "it")]


def test_an_edit_in_one_language_keeps_the_index_of_the_others(index: Index) -> None:
    both = index.replace([_document("doctor"), Document("doctor", "fr", "Médecin", "Trouver un médecin.")])
    edited = both.replace([_document("doctor"), Document("doctor", "fr", "Docteur", "Trouver un docteur.")])
    assert edited._languages["it"] is both._languages["it"]
    assert _ids(edited.search("docteur", "fr")) == ["doctor"]


def test_outside_questions_can_be_replaced(index: Index) -> None:
    assert index.search("che film danno con questa pioggia", "it").band is Band.UNKNOWN
    changed = index.replace([], outside={"it": ("una cosa diversa",)})
    assert changed._languages["it"].outside == ("una cosa diversa",)


def test_the_texts_of_another_language_help_where_words_are_alike() -> None:
    italian = [_document(topic) for topic in TOPICS]
    french = [Document(topic, "fr", f"Page {number}", "Texte.") for number, topic in enumerate(TOPICS)]
    together = Index.build([*italian, *french])
    assert [hit.id for hit in together._languages["fr"].documents] == list(TOPICS)
    assert together._views["fr"] is not None
    assert Index.build(french)._views["fr"] is None


def test_arabic_in_latin_letters_finds_what_is_written_in_arabic() -> None:
    arabic = Index.build(
        [
            Document("work", "ar", "العمل", "البحث عن خدمة", ("بغيت خدمة", "شكون يعاوني نلقى خدمة", "وين الشغل")),
            Document("health", "ar", "الصحة", "الطبيب", ("بغيت طبيب", "ولدي مريض", "وين السبيطار")),
        ]
    )
    assert arabic.rank("chkoun 3andou khedma", "ar")[0].id == "work"


def test_chinese_is_found_without_spaces() -> None:
    chinese = Index.build(
        [Document("card", "zh", "身份证", "如何办理身份证。"), Document("train", "zh", "火车", "火车时刻表。")]
    )
    assert chinese.rank("我想办理身份证", "zh")[0].id == "card"


def test_an_index_without_entries_knows_nothing() -> None:
    empty = Index.build([])
    assert empty.search("medico", "it") == SearchResult(Band.UNKNOWN, (), "it")
    assert empty.rank("medico", "it") == ()
    assert _ids(empty.replace([_document("doctor")]).search("medico", "it")) == ["doctor"]


def test_an_unknown_language_is_unknown_and_no_error(index: Index) -> None:
    assert index.search("medico", "xx") == SearchResult(Band.UNKNOWN, (), "xx")


def test_entries_may_be_without_text() -> None:
    bare = Index.build([Document("empty", "it", "", ""), Document("doctor", "it", "Medico", "", ("", "  ", "?!"))])
    assert bare.rank("medico", "it")[0].id == "doctor"


@pytest.mark.parametrize(
    "query", ["", "   ", "?!…", "👍🏽👨‍👩‍👧", "\x00\x07\u200b\u202e", "\ud800", "ъъъ", "123456789"]
)
def test_nonsense_is_unknown(index: Index, query: str) -> None:
    assert index.search(query, "it").band is Band.UNKNOWN


@pytest.mark.parametrize("query", ["medico " * 1500, "a" * 10_000, "👍" * 10_000, "medico casa permesso\n" * 500])
def test_a_message_of_ten_thousand_characters_is_quick(index: Index, query: str) -> None:
    started = time.process_time()
    index.search(query[:10_000], "it")
    assert time.process_time() - started < 0.5


@settings(max_examples=200, deadline=None)
@given(query=st.text(alphabet=st.characters()), place=st.none() | st.text())
def test_no_message_breaks_the_search(index: Index, query: str, place: str | None) -> None:
    result = index.search(query, "it", place=place)
    assert (result.band is Band.UNKNOWN) == (not result.hits)
    assert all(0 <= hit.score <= 1 for hit in result.hits)


def test_many_threads_get_the_same_answers(index: Index) -> None:
    queries = [question for topic in TOPICS for question in _document(topic).questions]
    alone = [index.search(query, "it") for query in queries]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda query: index.search(query, "it"), queries)) == alone


def test_the_same_content_gives_the_same_answers(index: Index) -> None:
    again = Index.build([_document(topic) for topic in TOPICS], OUTSIDE)
    assert again.search("medico febbre", "it") == index.search("medico febbre", "it")


def test_an_index_can_be_kept_in_a_file(index: Index) -> None:
    kept = Index.build([Document("doctor", "sq", "Mjeku", "Mjeku i familjes.")])
    assert pickle.loads(pickle.dumps(kept)).search("mjeku", "sq") == kept.search("mjeku", "sq")


def test_where_there_are_too_many_questions_for_a_classifier_the_texts_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knowledge_base.classifier.MOST_EXAMPLES", 10)
    large = Index.build([_document(topic) for topic in TOPICS], OUTSIDE)
    assert large._languages["it"]._classifier is None
    assert _ids(large.search("mi serve un medico", "it"))[0] == "doctor"


def test_thresholds_keep_wrong_answers_from_being_sure() -> None:
    judge = Judge(np.full(6, 10.0), np.zeros(8))
    easy, hard = [[0.9] + [0.0] * 5, [0.0] * 6], [[0.2] + [0.0] * 5, [0.3] + [0.0] * 5]
    lessons = Lessons(evidence=_repeat([easy, hard], 100), outside=np.zeros(200), right=np.zeros(200, np.intp))
    chosen = choose_thresholds(lessons, judge)
    first = judge.probabilities(lessons.evidence, lessons.outside)[:, :-1].max(axis=1)
    assert first[1] < chosen.sure <= first[0]
    assert chosen.unknown == Thresholds().unknown, "no outside question says where the unknown begins"


def test_bands_follow_the_thresholds() -> None:
    thresholds = Thresholds(sure=0.8, unknown=0.3)
    assert thresholds.band(0.8, 0.1) is Band.SURE
    assert thresholds.band(0.7, 0.2) is Band.UNSURE
    assert thresholds.band(0.4, 0.3) is Band.UNKNOWN
    assert thresholds.band(0.1, 0.01) is Band.UNSURE


def _repeat(values: Sequence[object], times: int) -> Numbers:
    return np.array(list(values) * times, float)


def test_a_public_collection_is_measured(tmp_path: Path) -> None:
    documents = [{"_id": topic, "title": title, "text": " ".join(words)} for topic, (title, words) in TOPICS.items()]
    queries = [{"_id": "1", "text": "febbre"}, {"_id": "2", "text": "questura"}, {"_id": "3", "text": "not judged"}]
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)))
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n1\tdoctor\t1\n2\tfood\t1\n2\tdoctor\t0\n")
    figures = evaluate_search(tmp_path / "corpus.jsonl", tmp_path / "queries.jsonl", tmp_path / "qrels.tsv", "it")
    assert (figures["documents"], figures["queries"], figures["p_at_1"]) == (5, 2, 0.5)
    assert 0.5 < figures["mrr_at_10"] < 1
    assert figures["ms_p50"] <= figures["ms_p95"]


def test_a_collection_without_judgements_is_refused(tmp_path: Path) -> None:
    for name in ("corpus.jsonl", "queries.jsonl", "qrels.tsv"):
        (tmp_path / name).write_text("")
    with pytest.raises(ValueError, match="no query"):
        evaluate_search(tmp_path / "corpus.jsonl", tmp_path / "queries.jsonl", tmp_path / "qrels.tsv", "it")


def test_questions_left_out_are_found_by_the_others() -> None:
    figures = held_out([_document(topic) for topic in TOPICS], OUTSIDE)["it"]
    assert figures["known"] + figures["outside"] > 20
    assert figures["first"] > 0.8
    assert figures["outside_not_sure"] > 0.8


def test_speed_and_memory_are_measured() -> None:
    figures = bench_search(50)
    assert figures["questions"] == 250
    assert figures["ms_p95"] >= figures["ms_p50"] > 0


def test_a_hit_says_which_entry_and_how_sure() -> None:
    assert Hit("doctor", 0.9) == Hit(id="doctor", score=0.9)
