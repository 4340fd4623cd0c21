import assert from "node:assert/strict";
import { describe as suite, test } from "node:test";

import { create } from "@bufbuild/protobuf";
import { anyPack, durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";

import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import {
  anyUnpack,
  BatchRecognizeResponseSchema,
  createAi2Text,
  describe,
  ErrorReason,
  ExportFormat,
  failureOf,
  Operations,
  SearchService,
  TextService,
  TranscriptService,
} from "../src/index.js";
import { Edge } from "./edge.js";
import { thrownBy } from "./thrown.js";

suite("the token", () => {
  test("is sent with each call, asked for anew", async () => {
    const seen: (string | null)[] = [];
    await using edge = await Edge.serving((router) => {
      router.service(SearchService, {
        search: (_, context) => {
          seen.push(context.requestHeader.get("authorization"));
          return { hits: [] };
        },
      });
    });
    let count = 0;
    const { search } = createAi2Text({ endpoint: edge.endpoint, token: () => `token${++count}` });
    await search.search({ query: "một" });
    await search.search({ query: "hai" });
    assert.deepEqual(seen, ["Bearer token1", "Bearer token2"]);
  });

  test("may be missing", async () => {
    await using edge = await Edge.serving((router) => {
      router.service(SearchService, {
        search: (_, context) => {
          assert.equal(context.requestHeader.get("authorization"), null);
          return { hits: [{ startMs: 9007199254740993n }] };
        },
      });
    });
    const { hits } = await createAi2Text({ endpoint: edge.endpoint }).search.search({ query: "một" });
    assert.equal(hits[0]?.startMs, 9007199254740993n, "64 bits arrive whole");
  });
});

suite("what an upload begins", () => {
  test("is asked for by name, and its result can be read", async () => {
    const files = [{ recordingId: "r", transcriptId: "t" }];
    const value = anyPack(BatchRecognizeResponseSchema, create(BatchRecognizeResponseSchema, { files }));
    await using edge = await Edge.serving((router) => {
      router.service(Operations, {
        getOperation: ({ name }) => ({ name, done: true, result: { case: "response", value } }),
      });
    });
    const { operations } = createAi2Text({ endpoint: edge.endpoint });
    const { name, result } = await operations.getOperation({ name: "operations/1" });
    assert.equal(name, "operations/1");
    assert.ok(result.case === "response");
    assert.equal(anyUnpack(result.value, BatchRecognizeResponseSchema)?.files[0]?.transcriptId, "t");
  });
});

suite("raw text", () => {
  test("is put in order", async () => {
    await using edge = await Edge.serving((router) => {
      router.service(TextService, { refine: ({ text }) => ({ text: text.replace("mười hai", "12") }) });
    });
    const { text } = createAi2Text({ endpoint: edge.endpoint });
    assert.equal((await text.refine({ text: "ngày mười hai" })).text, "ngày 12");
  });
});

suite("a server stream", () => {
  test("arrives piece by piece, and its error after the pieces", async () => {
    await using edge = await Edge.serving((router) => {
      router.service(TranscriptService, {
        async *exportTranscript(request) {
          assert.equal(request.format, ExportFormat.VTT);
          yield { text: "WEBVTT\n" };
          yield { text: "\nxin chào" };
          throw new ConnectError("the store went away", Code.Unavailable);
        },
      });
    });
    const { transcripts } = createAi2Text({ endpoint: edge.endpoint });
    const pieces: string[] = [];
    const reading = (async () => {
      for await (const piece of transcripts.exportTranscript({ recordingId: "r", format: ExportFormat.VTT })) {
        pieces.push(piece.text);
      }
    })();
    const failure = failureOf(await thrownBy(reading));
    assert.deepEqual(pieces, ["WEBVTT\n", "\nxin chào"]);
    assert.equal(failure.code, Code.Unavailable);
  });
});

suite("a failure", () => {
  test("carries reason, metadata, fields and delay", async () => {
    await using edge = await Edge.serving((router) => {
      router.service(SearchService, {
        search: () => {
          throw new ConnectError("the index is busy", Code.ResourceExhausted, undefined, [
            { desc: ErrorInfoSchema, value: { reason: "OTHER", domain: "elsewhere" } },
            {
              desc: ErrorInfoSchema,
              value: { reason: "ERROR_REASON_OVERLOADED", domain: "ai2text", metadata: { queue: "64" } },
            },
            { desc: RetryInfoSchema, value: { retryDelay: durationFromMs(1500) } },
            { desc: BadRequestSchema, value: { fieldViolations: [{ field: "query", description: "too long" }] } },
          ]);
        },
      });
    });
    const failure = failureOf(await thrownBy(createAi2Text({ endpoint: edge.endpoint }).search.search({ query: "x" })));
    assert.deepEqual(failure, {
      code: Code.ResourceExhausted,
      reason: ErrorReason.OVERLOADED,
      message: "the index is busy",
      metadata: { queue: "64" },
      fields: [{ field: "query", description: "too long" }],
      retryAfterMs: 1500,
    });
    assert.equal(describe(failure), "ResourceExhausted (OVERLOADED): the index is busy; try again in 1.5 s");
  });

  test("of a reason that this client does not know is unspecified", () => {
    const detail = { desc: ErrorInfoSchema, value: create(ErrorInfoSchema, { reason: "NEW", domain: "ai2text" }) };
    const failure = failureOf(new ConnectError("later", Code.Aborted, undefined, [detail]));
    assert.equal(failure.reason, ErrorReason.UNSPECIFIED);
    assert.equal(describe(failure), "Aborted: later");
  });

  test("without a server says so", async () => {
    const { search } = createAi2Text({ endpoint: "http://127.0.0.1:1" });
    const failure = failureOf(await thrownBy(search.search({ query: "x" })));
    assert.equal(failure.reason, ErrorReason.UNSPECIFIED);
    assert.ok([Code.Unavailable, Code.Unknown].includes(failure.code), describe(failure));
  });

  test("of a call that takes too long is a deadline", async () => {
    await using edge = await Edge.serving((router) => {
      router.service(SearchService, { search: () => new Promise(() => {}) });
    });
    const { search } = createAi2Text({ endpoint: edge.endpoint, timeoutMs: 50 });
    assert.equal(failureOf(await thrownBy(search.search({ query: "x" }))).code, Code.DeadlineExceeded);
  });
});
