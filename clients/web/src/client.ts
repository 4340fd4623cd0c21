import { type Client, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

import { LiveSessionService } from "../gen/ai2text/asr/v1/live_session_service_pb.js";
import { SpeechService } from "../gen/ai2text/asr/v1/speech_service_pb.js";
import { EmbeddingService } from "../gen/ai2text/embeddings/v1/embedding_service_pb.js";
import { IngestionService } from "../gen/ai2text/ingestion/v1/ingestion_service_pb.js";
import { RecordingService } from "../gen/ai2text/metadata/v1/recording_service_pb.js";
import { TranscriptService } from "../gen/ai2text/metadata/v1/transcript_service_pb.js";
import { TextService } from "../gen/ai2text/nlp/v1/text_service_pb.js";
import { SearchService } from "../gen/ai2text/search/v1/search_service_pb.js";
import { Operations } from "../gen/google/longrunning/operations_pb.js";

/** Gives the token of the next call; asked before each call, so that it may renew one that is about to expire. */
export type TokenSource = () => string | Promise<string>;

/** Where the edge is, and who calls. */
export interface Options {
  /** The edge, such as "http://127.0.0.1:8080". */
  endpoint: string;
  /** The JWT that is sent as a bearer token, or what gives it. Default: none, which only health checks allow. */
  token?: string | TokenSource;
  /** How long a call may take that sets no `timeoutMs` of its own, in milliseconds. Default: 30,000. */
  timeoutMs?: number;
}

/** A client for each public service. Streams from the client are left out: gRPC-web has none, and `live` stands in. */
export interface Ai2Text {
  readonly speech: Client<typeof SpeechService>;
  /** What `LiveSession` needs. */
  readonly live: Client<typeof LiveSessionService>;
  /** Uploads in parts, and addresses of what was uploaded. */
  readonly ingestion: Client<typeof IngestionService>;
  /** What `completeUpload` and `batchRecognize` begin; `anyUnpack` reads how far it has come and what it led to. */
  readonly operations: Client<typeof Operations>;
  readonly recordings: Client<typeof RecordingService>;
  readonly transcripts: Client<typeof TranscriptService>;
  readonly search: Client<typeof SearchService>;
  readonly embeddings: Client<typeof EmbeddingService>;
  /** Puts raw text in order. */
  readonly text: Client<typeof TextService>;
}

/** Clients that share one gRPC-web transport to the edge. Nothing is sent before the first call. */
export function createAi2Text(options: Options): Ai2Text {
  return overTransport(
    createGrpcWebTransport({
      baseUrl: options.endpoint,
      defaultTimeoutMs: options.timeoutMs ?? 30_000,
      interceptors: options.token === undefined ? [] : [bearer(options.token)],
    }),
  );
}

function overTransport(transport: Transport): Ai2Text {
  return {
    speech: createClient(SpeechService, transport),
    live: createClient(LiveSessionService, transport),
    ingestion: createClient(IngestionService, transport),
    operations: createClient(Operations, transport),
    recordings: createClient(RecordingService, transport),
    transcripts: createClient(TranscriptService, transport),
    search: createClient(SearchService, transport),
    embeddings: createClient(EmbeddingService, transport),
    text: createClient(TextService, transport),
  };
}

function bearer(token: string | TokenSource): Interceptor {
  return (next) => async (request) => {
    const current = typeof token === "string" ? token : await token();
    request.header.set("authorization", `Bearer ${current}`);
    return next(request);
  };
}
