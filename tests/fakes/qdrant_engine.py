"""The engine of Qdrant in this process (qdrant-edge), as far as the search server uses it, as the client of Qdrant
shows it: the real filters, graphs, codes and rescoring, without the server around them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import qdrant_edge as edge
from qdrant_client import models

MUCH = 500
"""Points."""

SMALL_KB = 10
"""Up to this size of what passes a filter it is compared one by one; Qdrant's own default is 10 MB."""


class QdrantEngine:
    """One shard for each collection, in `folder`. What has come gets codes and graphs before a search when it is much;
    the server does so beside all else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shards = dict[str, edge.EdgeShard]()
        self._written = dict[str, int]()

    def close(self) -> None:
        """Close every shard."""
        for shard in self._shards.values():
            shard.close()

    def collection_exists(self, name: str) -> bool:
        return name in self._shards

    def delete_collection(self, name: str) -> None:
        self._shards.pop(name).close()

    def create_collection(
        self,
        name: str,
        vectors_config: models.VectorParams,
        hnsw_config: models.HnswConfigDiff,
        quantization_config: models.ScalarQuantization,
        timeout: int,
    ) -> None:
        scalar, graph = quantization_config.scalar, hnsw_config
        assert (scalar.type, vectors_config.datatype) == (models.ScalarType.INT8, models.Datatype.FLOAT16)
        assert graph.m is not None
        assert graph.ef_construct is not None
        vectors = edge.EdgeVectorParams(
            vectors_config.size,
            {models.Distance.DOT: edge.Distance.Dot}[vectors_config.distance],
            on_disk=vectors_config.on_disk,
            datatype=edge.VectorStorageDatatype.Float16,
        )
        config = edge.EdgeConfig(
            vectors,
            hnsw_config=edge.HnswIndexConfig(graph.m, graph.ef_construct, SMALL_KB, payload_m=graph.payload_m),
            quantization_config=edge.ScalarQuantizationConfig(
                edge.ScalarType.Int8, quantile=scalar.quantile, always_ram=scalar.always_ram
            ),
            optimizers=edge.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=SMALL_KB),
        )
        folder = self._folder / f"{len(list(self._folder.iterdir()))}"
        folder.mkdir()
        self._shards[name] = edge.EdgeShard.create(str(folder), config)
        self._written[name] = 0

    def create_payload_index(self, name: str, field: str, schema: Any, wait: bool, timeout: int) -> None:
        made: edge.KeywordIndexParams | edge.IntegerIndexParams
        if isinstance(schema, models.KeywordIndexParams):
            made = edge.KeywordIndexParams(is_tenant=schema.is_tenant)
        else:
            made = edge.IntegerIndexParams(lookup=schema.lookup, range=schema.range)
        self._shard(name).update(edge.UpdateOperation.create_field_index(field, made))

    def upsert(self, name: str, points: Any, wait: bool, ordering: Any, timeout: int) -> None:
        if isinstance(points, models.Batch):
            there: Any = zip(points.ids, points.vectors, points.payloads or [], strict=True)
            made = [edge.Point(*one) for one in there]
        else:
            made = [edge.Point(one.id, one.vector, one.payload) for one in points]
        self._shard(name).update(edge.UpdateOperation.upsert_points(made))
        self._written[name] += len(made)

    def delete(self, name: str, points_selector: Any, wait: bool, ordering: Any, timeout: int) -> None:
        if isinstance(points_selector, models.PointIdsList):
            gone = edge.UpdateOperation.delete_points(points_selector.points)
        else:
            gone = edge.UpdateOperation.delete_points_by_filter(_filter(points_selector.filter))
        self._shard(name).update(gone)

    def retrieve(self, name: str, ids: list[Any], with_payload: bool, consistency: Any, timeout: int) -> list[Any]:
        return list(self._shard(name).retrieve(ids, with_payload, False))

    def count(self, name: str, count_filter: models.Filter, exact: bool, timeout: int) -> SimpleNamespace:
        return SimpleNamespace(count=self._shard(name).count(edge.CountRequest(exact, _filter(count_filter))))

    def query_points(
        self,
        name: str,
        query: list[float],
        query_filter: models.Filter,
        limit: int,
        search_params: models.SearchParams,
        with_payload: bool,
        timeout: int,
    ) -> SimpleNamespace:
        shard, again = self._shard(name), search_params.quantization
        assert again is not None
        params = edge.SearchParams(
            hnsw_ef=search_params.hnsw_ef,
            quantization=edge.QuantizationSearchParams(rescore=again.rescore, oversampling=again.oversampling),
        )
        wanted = edge.SearchRequest(edge.Query.Nearest(query), limit, filter=_filter(query_filter), params=params)
        if self._written[name] >= MUCH:
            shard.optimize()
            self._written[name] = 0
            assert shard.info().indexed_vectors_count >= MUCH
        return SimpleNamespace(points=shard.search(wanted))

    def _shard(self, name: str) -> edge.EdgeShard:
        if name not in self._shards:
            raise ValueError(f"Collection {name} not found")
        return self._shards[name]


def _filter(given: models.Filter) -> edge.Filter:
    assert isinstance(given.must, list)
    return edge.Filter(must=[_condition(one) for one in given.must])


def _condition(given: Any) -> edge.FieldCondition:
    match = given.match
    made = edge.MatchAny(match.any) if isinstance(match, models.MatchAny) else edge.MatchValue(match.value)
    return edge.FieldCondition(given.key, match=made)
