/** The TypeScript client of AI2Text. The messages and enums are those of the contract. */
export { type Ai2Text, createAi2Text, type Options, type TokenSource } from "./client.js";
export { describe, type Failure, failureOf } from "./failure.js";
export type { LiveHandlers } from "./live/handlers.js";
export { type LiveOptions, LiveSession } from "./live/session.js";
export * from "../gen/ai2text/asr/v1/audio_pb.js";
export * from "../gen/ai2text/asr/v1/live_session_service_pb.js";
export * from "../gen/ai2text/asr/v1/result_pb.js";
export * from "../gen/ai2text/asr/v1/session_pb.js";
export * from "../gen/ai2text/asr/v1/speech_service_pb.js";
export * from "../gen/ai2text/common/v1/errors_pb.js";
export * from "../gen/ai2text/embeddings/v1/embedding_pb.js";
export * from "../gen/ai2text/embeddings/v1/embedding_service_pb.js";
export * from "../gen/ai2text/metadata/v1/recording_pb.js";
export * from "../gen/ai2text/metadata/v1/recording_service_pb.js";
export * from "../gen/ai2text/metadata/v1/transcript_pb.js";
export * from "../gen/ai2text/metadata/v1/transcript_service_pb.js";
export * from "../gen/ai2text/search/v1/hit_pb.js";
export * from "../gen/ai2text/search/v1/search_service_pb.js";
