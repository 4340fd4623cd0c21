import { Code, ConnectError } from "@connectrpc/connect";

import { ErrorReason } from "../../gen/ai2text/common/v1/errors_pb.js";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { DOMAIN, type Failure, failureOf } from "../failure.js";

/** What a call ends with when the network, the edge or the server gives way under it, and no server of ours spoke. */
const BROKEN: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.Unknown,
  Code.Internal,
  Code.DeadlineExceeded,
  Code.Canceled,
  Code.ResourceExhausted,
]);

/** With what a server of ours ends a session that can go on elsewhere, or later. */
const PASSING: ReadonlySet<ErrorReason> = new Set([
  ErrorReason.OVERLOADED,
  ErrorReason.DEPENDENCY_UNAVAILABLE,
  ErrorReason.STREAM_IDLE,
  ErrorReason.DRAINING,
  ErrorReason.INTERNAL,
  ErrorReason.SEQUENCE_GAP,
]);

/** Whether the connection broke, rather than a server of ours refusing. */
export function isBroken(failure: Failure): boolean {
  return failure.reason === ErrorReason.UNSPECIFIED && BROKEN.has(failure.code);
}

/** Whether a session that ended so may be resumed. An error that no call threw is a bug, and no loss. */
export function isLoss(thrown: unknown): boolean {
  const failure = failureOf(thrown);
  return thrown instanceof ConnectError && (isBroken(failure) || PASSING.has(failure.reason));
}

/** Whether this server does not have the session: another one may. */
export function isGone(thrown: unknown): boolean {
  return failureOf(thrown).reason === ErrorReason.SESSION_NOT_FOUND;
}

/** The loss that a client finds out by itself. */
export function lost(message: string, reason: "DRAINING" | "INTERNAL" = "INTERNAL"): ConnectError {
  const info = { reason: `ERROR_REASON_${reason}`, domain: DOMAIN };
  return new ConnectError(message, Code.Unavailable, undefined, [{ desc: ErrorInfoSchema, value: info }]);
}
