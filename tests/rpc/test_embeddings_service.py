"""EmbeddingService over a real port: vectors, limits, and every way to be refused."""

import asyncio
import unicodedata
from collections.abc import AsyncIterator

import grpc
import numpy as np
import pytest
from ai2text.embeddings.v1 import embedding_pb2
from ai2text.embeddings.v1.embedding_service_pb2 import BatchEmbedRequest, EmbedRequest, RerankRequest
from ai2text.embeddings.v1.embedding_service_pb2_grpc import EmbeddingServiceStub

from servers.embeddings.admission import Admission
from servers.embeddings.embedding import Kind, Vector
from servers.embeddings.reranking import AT_ONCE
from tests.fakes.vector_cache import KnownVectors
from tests.rpc.embeddings_server import MODEL, LetterCounter, embeddings, headers, letters
from tests.rpc.refusals import refusal

QUERY = embedding_pb2.EMBEDDING_KIND_QUERY
PASSAGE = embedding_pb2.EMBEDDING_KIND_PASSAGE
ALLOWED = headers("embeddings")


@pytest.fixture
def model() -> LetterCounter:
    return LetterCounter()


@pytest.fixture
async def stub(model: LetterCounter) -> AsyncIterator[EmbeddingServiceStub]:
    async with embeddings(model) as stub:
        yield stub


async def test_a_text_becomes_a_vector(stub: EmbeddingServiceStub, model: LetterCounter) -> None:
    answer = await stub.Embed(EmbedRequest(text="  xin chao ", kind=QUERY), metadata=ALLOWED)
    np.testing.assert_allclose(answer.embedding.values, letters("xin chao"))
    assert answer.model == MODEL
    assert model.asked == [("xin chao", Kind.QUERY)]


async def test_a_batch_keeps_its_order(stub: EmbeddingServiceStub, model: LetterCounter) -> None:
    texts = [chr(ord("a") + n % 26) * (n + 1) for n in range(256)]
    answer = await stub.BatchEmbed(BatchEmbedRequest(texts=texts, kind=PASSAGE), metadata=ALLOWED)
    assert len(answer.embeddings) == 256
    for text, embedding in zip(texts, answer.embeddings, strict=True):
        np.testing.assert_allclose(embedding.values, letters(text))
    assert {kind for _, kind in model.asked} == {Kind.PASSAGE}


async def test_the_same_text_of_the_same_kind_goes_to_the_model_once(
    stub: EmbeddingServiceStub, model: LetterCounter
) -> None:
    await stub.Embed(EmbedRequest(text="Hà  Nội", kind=QUERY), metadata=ALLOWED)
    decomposed = unicodedata.normalize("NFD", " Hà Nội\n")
    again = await stub.Embed(EmbedRequest(text=decomposed, kind=QUERY), metadata=ALLOWED)
    batch = BatchEmbedRequest(texts=["Hà Nội", "Huế", "Huế", "Hà Nội"], kind=QUERY)
    answer = await stub.BatchEmbed(batch, metadata=ALLOWED)
    await stub.Embed(EmbedRequest(text="Hà Nội", kind=PASSAGE), metadata=ALLOWED)
    assert model.asked == [("Hà Nội", Kind.QUERY), ("Huế", Kind.QUERY), ("Hà Nội", Kind.PASSAGE)]
    np.testing.assert_allclose(again.embedding.values, letters("Hà Nội"))
    for text, embedding in zip(batch.texts, answer.embeddings, strict=True):
        np.testing.assert_allclose(embedding.values, letters(text))


async def test_what_one_tenant_has_asked_makes_no_answer_to_another_faster(
    stub: EmbeddingServiceStub, model: LetterCounter
) -> None:
    for tenant in ("acme", "other", "acme"):
        allowed = headers("embeddings", tenant=tenant)
        await stub.Embed(EmbedRequest(text="bí mật", kind=QUERY), metadata=allowed)
        await stub.BatchEmbed(BatchEmbedRequest(texts=["bí mật", "kế hoạch"], kind=QUERY), metadata=allowed)
    assert model.asked == [("bí mật", Kind.QUERY), ("kế hoạch", Kind.QUERY)] * 2


async def test_without_the_cache_every_text_is_embedded_anew(model: LetterCounter) -> None:
    async with embeddings(model, cache=KnownVectors(away=True)) as stub:
        for _ in range(2):
            answer = await stub.Embed(EmbedRequest(text="a", kind=QUERY), metadata=ALLOWED)
            np.testing.assert_allclose(answer.embedding.values, letters("a"))
    assert model.asked == [("a", Kind.QUERY)] * 2


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (EmbedRequest(kind=QUERY), "text"),
        (EmbedRequest(text=" \n ", kind=QUERY), "text"),
        (EmbedRequest(text="a"), "kind"),
        (EmbedRequest(text="a", kind=77), "kind"),  # type: ignore[arg-type]
    ],
)
async def test_a_wrong_field_is_named(stub: EmbeddingServiceStub, request_: EmbedRequest, field: str) -> None:
    refused = await refusal(stub.Embed(request_, metadata=ALLOWED))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refused.field == field


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (BatchEmbedRequest(kind=QUERY), "texts"),
        (BatchEmbedRequest(texts=["a"] * 257, kind=QUERY), "texts"),
        (BatchEmbedRequest(texts=["a", ""], kind=QUERY), "texts[1]"),
        (BatchEmbedRequest(texts=[" \t"], kind=QUERY), "texts[0]"),
        (BatchEmbedRequest(texts=["a"]), "kind"),
        (BatchEmbedRequest(texts=["a"], kind=77), "kind"),  # type: ignore[arg-type]
    ],
)
async def test_a_wrong_field_of_a_batch_is_named(
    stub: EmbeddingServiceStub, request_: BatchEmbedRequest, field: str
) -> None:
    refused = await refusal(stub.BatchEmbed(request_, metadata=ALLOWED))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refused.field == field


async def test_a_text_of_just_the_limit_is_taken_and_one_more_is_not(stub: EmbeddingServiceStub) -> None:
    await stub.Embed(EmbedRequest(text="ạ" * 8192, kind=QUERY), metadata=ALLOWED)
    refused = await refusal(stub.Embed(EmbedRequest(text="ạ" * 8193, kind=QUERY), metadata=ALLOWED))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TEXT_TOO_LONG")
    assert refused.metadata == {"limit_characters": "8192"}
    batch = BatchEmbedRequest(texts=["a", "ạ" * 8193], kind=QUERY)
    refused = await refusal(stub.BatchEmbed(batch, metadata=ALLOWED))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TEXT_TOO_LONG")
    assert "texts[1]" in refused.message


async def test_no_identity(stub: EmbeddingServiceStub) -> None:
    for call in (
        stub.Embed(EmbedRequest(text="a", kind=QUERY)),
        stub.BatchEmbed(BatchEmbedRequest(texts=["a"], kind=QUERY)),
    ):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "IDENTITY_MISSING")


async def test_no_scope(stub: EmbeddingServiceStub) -> None:
    for call in (
        stub.Embed(EmbedRequest(text="a", kind=QUERY), metadata=headers("search")),
        stub.BatchEmbed(BatchEmbedRequest(texts=["a"], kind=QUERY), metadata=headers("search")),
    ):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
        assert refused.metadata == {"scope": "embeddings"}


async def test_triton_away(stub: EmbeddingServiceStub, model: LetterCounter) -> None:
    model.away = True
    for call in (
        stub.Embed(EmbedRequest(text="a", kind=QUERY), metadata=ALLOWED),
        stub.BatchEmbed(BatchEmbedRequest(texts=["a", "b"], kind=QUERY), metadata=ALLOWED),
    ):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
        assert refused.metadata == {"dependency": "triton"}
        assert refused.retry_s


async def test_too_many_at_a_time() -> None:
    admission = Admission(1, 1)
    async with embeddings(LetterCounter(), admission) as stub:
        async with admission.entered():
            calls = [stub.Embed(EmbedRequest(text="a", kind=QUERY), metadata=ALLOWED, timeout=30) for _ in range(2)]
            tasks = [asyncio.ensure_future(call) for call in calls]
            done, (waiting,) = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            refused = await refusal(done.pop())
        assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert refused.retry_s
        assert (await waiting).embedding.values


async def test_a_fault_of_ours_says_nothing_of_itself() -> None:
    class Broken(LetterCounter):
        async def encode(self, text: str, kind: Kind) -> Vector:
            raise RuntimeError("secret path")

    async with embeddings(Broken()) as stub:
        for call in (
            stub.Embed(EmbedRequest(text="a", kind=QUERY), metadata=ALLOWED),
            stub.BatchEmbed(BatchEmbedRequest(texts=["a"], kind=QUERY), metadata=ALLOWED),
        ):
            refused = await refusal(call)
            assert (refused.code, refused.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
            assert "secret" not in refused.message


# Comparing.


async def test_texts_are_compared_a_few_at_a_time_and_keep_their_order(
    stub: EmbeddingServiceStub, model: LetterCounter
) -> None:
    texts = [f" {chr(ord('a') + n)}b " for n in range(AT_ONCE + 2)]
    answer = await stub.Rerank(RerankRequest(query=" a  b", texts=texts), metadata=ALLOWED)
    np.testing.assert_allclose(answer.scores, [letters("a b") @ letters(text) / 2 for text in texts], rtol=1e-5)
    assert np.argmax(answer.scores) == 0
    assert answer.model == MODEL
    assert [len(texts) for _, *texts in model.compared] == [AT_ONCE, 2]
    assert {query for query, *_ in model.compared} == {"a b"}


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (RerankRequest(texts=["a"]), "query"),
        (RerankRequest(query=" ", texts=["a"]), "query"),
        (RerankRequest(query="a"), "texts"),
        (RerankRequest(query="a", texts=["a"] * 33), "texts"),
        (RerankRequest(query="a", texts=["a", " "]), "texts[1]"),
    ],
)
async def test_what_cannot_be_compared_is_named(
    stub: EmbeddingServiceStub, model: LetterCounter, request_: RerankRequest, field: str
) -> None:
    refused = await refusal(stub.Rerank(request_, metadata=ALLOWED))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refused.field == field
    assert model.compared == []


@pytest.mark.parametrize(
    "request_", [RerankRequest(query="a" * 1_001, texts=["a"]), RerankRequest(query="a", texts=["a" * 8_193])]
)
async def test_what_is_too_long_to_compare_is_refused(stub: EmbeddingServiceStub, request_: RerankRequest) -> None:
    assert (await refusal(stub.Rerank(request_, metadata=ALLOWED))).reason == "TEXT_TOO_LONG"


async def test_comparing_needs_the_scope_and_the_model(stub: EmbeddingServiceStub, model: LetterCounter) -> None:
    asked = RerankRequest(query="a", texts=["a"])
    assert (await refusal(stub.Rerank(asked, metadata=headers("search")))).code is grpc.StatusCode.PERMISSION_DENIED
    model.away = True
    refused = await refusal(stub.Rerank(asked, metadata=ALLOWED))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
