const MIB = 1024 ** 2;
/** S3 and R2 take at most 10,000 parts; the rest is room for a wrong guess. */
const PLANNED_PARTS = 8_000;
const MOST_PARTS = 10_000;
/** The least that S3 and R2 take: three buffers of it are 15 MiB. */
const SMALLEST_PART = 5 * MIB;

/** Bytes of each part of an upload that may come to `expectedBytes`. */
export function partBytesFor(expectedBytes: number): number {
  return Math.max(SMALLEST_PART, Math.ceil(expectedBytes / PLANNED_PARTS / MIB) * MIB);
}

export interface Part {
  /** From 1. */
  readonly number: number;
  readonly content: Buffer;
  readonly isLast: boolean;
}

/**
 * Cuts a stream into equal parts in a few fixed buffers that are used again, and hands each to `send`;
 * so memory stays the same for a megabyte and a terabyte. Returns when all are sent.
 * @param buffers how many there are: one is filled while the others are on their way
 */
export async function sendInParts(
  body: AsyncIterable<Uint8Array>,
  partBytes: number,
  buffers: number,
  send: (part: Part) => Promise<void>,
): Promise<void> {
  const free = Array.from({ length: buffers }, () => Buffer.allocUnsafeSlow(partBytes));
  const sending = new Map<Buffer, Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  let number = 0;
  let filling: Buffer<ArrayBuffer> | undefined;
  let filled = 0;

  const dispatch = (buffer: Buffer<ArrayBuffer>, length: number, isLast: boolean): void => {
    number += 1;
    const sent = send({ number, content: buffer.subarray(0, length), isLast })
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => {
        sending.delete(buffer);
        free.push(buffer);
      });
    sending.set(buffer, sent);
  };
  const takeFree = async (): Promise<Buffer<ArrayBuffer>> => {
    for (;;) {
      if (failure !== undefined) throw failure.error;
      const buffer = free.pop();
      if (buffer !== undefined) return buffer;
      await Promise.race(sending.values());
    }
  };

  try {
    for await (const chunk of body) {
      for (let rest = chunk; rest.length > 0; ) {
        // A full buffer goes out only when more follows, so that the last part is known as such.
        if (filling !== undefined && filled === partBytes) {
          dispatch(filling, filled, false);
          filling = undefined;
        }
        if (filling === undefined) {
          if (number >= MOST_PARTS) throw new RangeError(`more than ${MOST_PARTS} parts`);
          filling = await takeFree();
          filled = 0;
        }
        const length = Math.min(rest.length, partBytes - filled);
        filling.set(rest.subarray(0, length), filled);
        filled += length;
        rest = rest.subarray(length);
      }
      if (failure !== undefined) throw failure.error;
    }
    dispatch(filling ?? Buffer.alloc(0), filled, true);
  } finally {
    await Promise.all(sending.values());
  }
  if (failure !== undefined) throw failure.error;
}
