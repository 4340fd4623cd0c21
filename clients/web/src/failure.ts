import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";

import { ErrorReason } from "../gen/ai2text/common/v1/errors_pb.js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.js";

/** The domain of the reasons of the contract. */
export const DOMAIN = "ai2text";
const PREFIX = "ERROR_REASON_";

/** Why a call failed, in the terms of the contract. */
export interface Failure {
  /** The gRPC code. */
  code: Code;
  /** What a caller may branch on; UNSPECIFIED when the error did not come from a server of ours. */
  reason: ErrorReason;
  /** For people; may change. */
  message: string;
  /** What the reason is about, such as `recording_id`; the contract names the keys with each reason. */
  metadata: Record<string, string>;
  /** What is wrong with which field, when the request was refused for that. */
  fields: { field: string; description: string }[];
  /** When it makes sense to try again, in milliseconds; undefined when it does not. */
  retryAfterMs: number | undefined;
}

/** Reads what was thrown by a call. Anything can be thrown; what is no ConnectError becomes Code.Unknown. */
export function failureOf(thrown: unknown): Failure {
  const error = ConnectError.from(thrown);
  const info = error.findDetails(ErrorInfoSchema).find((detail) => detail.domain === DOMAIN);
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return {
    code: error.code,
    reason: reasonNamed(info?.reason),
    message: error.rawMessage,
    metadata: info?.metadata ?? {},
    fields: error
      .findDetails(BadRequestSchema)
      .flatMap((detail) => detail.fieldViolations)
      .map(({ field, description }) => ({ field, description })),
    retryAfterMs: delay && durationMs(delay),
  };
}

/** One line for people: the code, the reason when there is one, and the message. */
export function describe(failure: Failure): string {
  const reason = failure.reason === ErrorReason.UNSPECIFIED ? "" : ` (${ErrorReason[failure.reason]})`;
  const retry = failure.retryAfterMs === undefined ? "" : `; try again in ${failure.retryAfterMs / 1000} s`;
  return `${Code[failure.code]}${reason}: ${failure.message}${retry}`;
}

/** The value of a reason's name. A reason that is newer than this client is UNSPECIFIED. */
function reasonNamed(name: string | undefined): ErrorReason {
  const short = name?.startsWith(PREFIX) ? name.slice(PREFIX.length) : "";
  return ErrorReason[short as keyof typeof ErrorReason] ?? ErrorReason.UNSPECIFIED;
}
