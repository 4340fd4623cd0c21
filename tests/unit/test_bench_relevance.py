"""The benchmark of relevance: what is right for a question, how it is asked, and where the right ones stand."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from ai2text.search.v1 import hit_pb2, search_service_pb2, search_service_pb2_grpc

from bench import relevance, relevance_sets
from bench.relevance_sets import Collection, Passage, Question

PARAGRAPHS = {
    "vi": {"a": "Đội thủ thua 308 điểm. Họ xếp thứ sáu.", "b": "Thành phố nằm ở phía bắc."},
    "en": {"a": "The defence gave up 308 points. It ranked sixth.", "b": "The city lies in the north."},
}
QUESTIONS = {"vi": {"1": 'Ai thua "308" điểm?', "2": "Cái gì ở phía bắc?"}, "en": {"1": "Who lost?", "2": "What lies?"}}
TATOEBA = {
    "eng": ["Good morning.", "Hello.", "Thank you.", "Hello."],
    "vie": ["Chào buổi sáng.", "Xin chào.", "Cảm ơn.", "Chào anh."],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The two data sets, in small."""
    xquad, tatoeba = tmp_path / relevance_sets.XQUAD, tmp_path / relevance_sets.TATOEBA
    xquad.mkdir()
    tatoeba.mkdir()
    for language in ("vi", "en"):
        for name, texts in (("corpus", PARAGRAPHS[language]), ("queries", QUESTIONS[language])):
            lines = [json.dumps({"id": id, "text": text}) for id, text in texts.items()]
            (xquad / f"{name}.{language}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (xquad / f"qrels.{language}.tsv").write_text("1\ta\t1\n2\tb\t1\n", encoding="utf-8")
    for name, sentences in TATOEBA.items():
        (tatoeba / f"dev.{name}").write_text("\n".join(sentences) + "\n", encoding="utf-8")
    return tmp_path


def right(collection: Collection, way: str) -> dict[str, set[str]]:
    """The texts that answer each question."""
    said = {passage.segment_id: passage.text for passage in collection.passages}
    return {question.text: {said[segment] for segment in question.right} for question in collection.ways[way]}


def test_every_way_has_its_questions_in_one_collection_of_one_language(folder: Path) -> None:
    made = relevance_sets.collections(folder)
    assert [(one.language, list(one.ways)) for one in made] == [
        ("vi", ["vi_vi", "vi_unaccented", "en_vi"]),
        ("en", ["vi_en"]),
        ("vi", ["tatoeba_en_vi"]),
        ("en", ["tatoeba_vi_en"]),
    ]
    assert {way for one in made for way in one.ways} == set(relevance.WAYS)


def test_no_two_passages_are_the_same_segment(folder: Path) -> None:
    made = [*relevance_sets.collections(folder), relevance_sets.sentences(folder)]
    segments = [passage.segment_id for one in made for passage in one.passages]
    assert len(set(segments)) == len(segments) == 2 + 2 + 4 + 4 + 3


def test_questions_are_about_the_paragraph_in_whichever_language_it_is(folder: Path) -> None:
    vietnamese, english, *_ = relevance_sets.collections(folder)
    in_vi, in_en = PARAGRAPHS["vi"], PARAGRAPHS["en"]
    assert right(vietnamese, "vi_vi") == {"Ai thua  308  điểm?": {in_vi["a"]}, "Cái gì ở phía bắc?": {in_vi["b"]}}
    assert right(vietnamese, "vi_unaccented") == {
        "ai thua  308  diem?": {in_vi["a"]},
        "cai gi o phia bac?": {in_vi["b"]},
    }
    assert right(vietnamese, "en_vi") == {"Who lost?": {in_vi["a"]}, "What lies?": {in_vi["b"]}}
    assert right(english, "vi_en") == {"Ai thua  308  điểm?": {in_en["a"]}, "Cái gì ở phía bắc?": {in_en["b"]}}


def test_of_sentences_each_of_the_paragraph_is_right(folder: Path) -> None:
    asked = right(relevance_sets.sentences(folder), "en_vi")
    assert asked["Who lost?"] == {"Đội thủ thua 308 điểm.", "Họ xếp thứ sáu."}


def test_a_sentence_asks_for_its_translation_on_the_same_line(folder: Path) -> None:
    asked = right(relevance_sets.translations(folder, "vi", "en"), "tatoeba_vi_en")
    assert list(asked.items()) == [(a, {b}) for a, b in zip(TATOEBA["vie"], TATOEBA["eng"], strict=True)]


def test_each_translation_of_a_sentence_on_several_lines_is_right(folder: Path) -> None:
    asked = right(relevance_sets.translations(folder, "en", "vi"), "tatoeba_en_vi")
    assert asked["Hello."] == {"Xin chào.", "Chào anh."}
    assert asked["Thank you."] == {"Cảm ơn."}


def test_an_equal_sentence_is_right_on_each_of_its_lines(folder: Path) -> None:
    english = relevance_sets.translations(folder, "vi", "en")
    hello = {passage.segment_id for passage in english.passages if passage.text == "Hello."}
    asked = {question.text: question.right for question in english.ways["tatoeba_vi_en"]}
    assert len(hello) == 2
    assert asked["Xin chào."] == asked["Chào anh."] == hello


def test_translations_that_do_not_pair_are_refused(folder: Path) -> None:
    with (folder / relevance_sets.TATOEBA / "dev.eng").open("a", encoding="utf-8") as file:
        file.write("One more.\n")
    with pytest.raises(ValueError, match="zip"):
        relevance_sets.translations(folder, "en", "vi")


def test_what_is_missing_is_named(folder: Path) -> None:
    assert relevance_sets.missing(folder) == []
    assert relevance_sets.missing(folder / "tatoeba") == [
        folder / "tatoeba" / "xquad_retrieval",
        folder / "tatoeba" / "tatoeba",
    ]


def test_what_is_fed_has_the_language_of_its_collection(folder: Path) -> None:
    for collection in relevance_sets.collections(folder):
        said = [final.segment for final in relevance.finals(collection, "t")]
        assert [segment.text for segment in said] == [passage.text for passage in collection.passages]
        assert {segment.language_code for segment in said} == {collection.language}


def test_a_recording_holds_no_more_than_one_answer_does() -> None:
    passages = [Passage(str(number), "", "text") for number in range(130)]
    fed = Counter(final.segment.recording_id for final in relevance.finals(Collection("c", "vi", passages, {}), "t"))
    assert list(fed.values()) == [60, 60, 10]


def hit(segment_id: str, semantic: int = 0, lexical: int = 0) -> hit_pb2.Hit:
    return hit_pb2.Hit(segment_id=segment_id, semantic_rank=semantic, lexical_rank=lexical)


class Pages(search_service_pb2_grpc.SearchServiceServicer):
    """Answers from canned pages, the same for every question: the token of a page is its number."""

    def __init__(self, *pages: list[hit_pb2.Hit], words_only: int = 0) -> None:
        self.pages = pages
        self.words_only = words_only
        """How many answers the vectors take no part in, from now on."""

        self.asked: list[tuple[str, str]] = []
        self.at_once: list[int] = []
        """How many were being answered when each came, itself included."""

        self.meet = asyncio.Barrier(1)
        """So many have to be asked at a time once `alone` were; else none of them is answered."""

        self.alone = 0
        self._now = 0

    async def Search(
        self, request: search_service_pb2.SearchRequest, context: object
    ) -> search_service_pb2.SearchResponse:
        self._now += 1
        self.asked.append((request.query, request.page_token))
        self.at_once.append(self._now)
        if len(self.asked) > self.alone:
            await self.meet.wait()
        self._now -= 1
        self.words_only -= 1
        page = int(request.page_token or 0)
        rankings = [hit_pb2.RANKING_LEXICAL] + [hit_pb2.RANKING_SEMANTIC] * (self.words_only < 0)
        following = str(page + 1) if page + 1 < len(self.pages) else ""
        return search_service_pb2.SearchResponse(hits=self.pages[page], rankings=rankings, next_page_token=following)


@asynccontextmanager
async def asking(service: Pages) -> AsyncIterator[relevance.Client]:
    """Who asks it, over a real line."""
    server = grpc.aio.server()
    search_service_pb2_grpc.add_SearchServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield relevance.Client(channel, "t")
    await server.stop(0)


async def test_pages_are_asked_for_until_a_right_one_is_there() -> None:
    service = Pages([hit("a", semantic=1)], [hit("b", lexical=1)], [hit("c", lexical=2)])
    async with asking(service) as client:
        answer = await client.answer(Question("q", frozenset({"b"})))
    assert service.asked == [("q", ""), ("q", "1")]
    places = [relevance.first_place(answer.hits, frozenset({"b"}), rank) for rank in relevance.PEERS.values()]
    assert places == [2, 1, 0]


async def test_a_right_one_that_is_nowhere_ends_with_the_last_page() -> None:
    service = Pages([hit("a")], [hit("b")])
    async with asking(service) as client:
        answer = await client.answer(Question("q", frozenset({"c"})))
    assert len(service.asked) == 2
    assert relevance.first_place(answer.hits, frozenset({"c"})) == 0


async def test_some_are_asked_and_timed_alone_and_the_others_a_few_at_a_time() -> None:
    service = Pages([hit("a")])
    service.alone, service.meet = 5, asyncio.Barrier(3)
    asked = [Question(str(number), frozenset("a")) for number in range(5 + 9)]
    async with asking(service) as client:
        answers, took_ms = await relevance.answered(client, asked, alone=5, at_a_time=3)
    assert service.at_once[:5] == [1] * 5
    assert max(service.at_once[5:]) == 3
    assert sorted(text for text, _ in service.asked) == sorted(question.text for question in asked)
    assert len(answers) == 14
    assert sum(answer.took_ms in took_ms for answer in answers) == len(took_ms) == 5


async def test_answers_come_in_the_order_of_the_questions() -> None:
    service = Echo()
    asked = [Question(str(number), frozenset({str(number)})) for number in range(20)]
    async with asking(service) as client:
        answers, _ = await relevance.answered(client, asked, alone=5, at_a_time=3)
    assert [answer.hits[0].segment_id for answer in answers] == [question.text for question in asked]


class Echo(Pages):
    """The only hit is the segment that is named as the question."""

    async def Search(
        self, request: search_service_pb2.SearchRequest, context: object
    ) -> search_service_pb2.SearchResponse:
        return search_service_pb2.SearchResponse(hits=[hit(request.query)], rankings=[hit_pb2.RANKING_SEMANTIC])


async def test_a_moment_without_the_embedder_is_waited_out_and_more_ends_the_run() -> None:
    async with asking(Pages([hit("a")], words_only=relevance.TRIES - 1)) as client:
        assert [one.segment_id for one in (await client.ask("q")).hits] == ["a"]
    async with asking(Pages([hit("a")], words_only=relevance.TRIES)) as client:
        with pytest.raises(SystemExit, match="the embedder does not answer"):
            await client.ask("q")


def test_each_ranking_is_counted_by_its_own_places() -> None:
    asked = [Question("q", frozenset({"r"}))] * 2
    answers = [
        relevance.Answer([hit("x", 2, 1), hit("r", 1, 11)], 10.0, ""),
        relevance.Answer([hit("r", 11, 1)], 30.0, ""),
    ]
    figures = relevance.counted("vi_en", asked, answers, [10.0, 30.0])
    first = {"r1_vi_en": 0.5, "bm25_r1_vi_en": 0.5, "e5_r1_vi_en": 0.5}
    in_ten = {"r10_vi_en": 1.0, "bm25_r10_vi_en": 0.5, "e5_r10_vi_en": 0.5}
    assert figures == first | in_ten | {"search_p50_vi_en_ms": 20.0, "search_p95_vi_en_ms": 29.0}


def test_the_table_has_a_line_for_every_way() -> None:
    answers, asked = [relevance.Answer([hit("r", 1, 1)], 10.0, "")], [Question("q", frozenset({"r"}))]
    figures: relevance.Figures = {}
    for way in relevance.WAYS:
        figures |= relevance.counted(way, asked, answers, [10.0])
    assert relevance.table(figures).row_count == 6
