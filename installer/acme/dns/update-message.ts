import { createHmac } from 'node:crypto';
import type { TsigAlgorithm } from '../../model/certificate-settings.ts';
import type { TxtRecord } from './provider.ts';

/** Numbers of RFC 1035, 2136 and 8945. */
const TYPE = { SOA: 6, TXT: 16, TSIG: 250 } as const;
const CLASS = { IN: 1, NONE: 254, ANY: 255 } as const;
const OPCODE_UPDATE = 5;
const FUDGE_SECONDS = 300;
const TTL_SECONDS = 30;

export interface TsigKey {
  readonly name: string;
  readonly algorithm: TsigAlgorithm;
  readonly key: Buffer;
}

export interface UpdateMessage {
  readonly id: number;
  readonly zone: string;
  readonly record: TxtRecord;
  readonly action: 'add' | 'delete';
}

/** A signed dynamic update (RFC 2136) of TXT records. */
export function updateMessage(update: UpdateMessage, key: TsigKey, now: Date): Buffer {
  const { id, zone, record, action } = update;
  const body = Buffer.concat([
    Buffer.concat([wireName(zone), numbers16(TYPE.SOA, CLASS.IN)]),
    ...record.values.map((value) => textRecord(record.name, value, action)),
  ]);
  const counts = { updates: record.values.length };
  const unsigned = Buffer.concat([header(id, { ...counts, additional: 0 }), body]);
  const signature = tsig(id, unsigned, key, now);
  return Buffer.concat([header(id, { ...counts, additional: 1 }), body, signature]);
}

function header(id: number, counts: { updates: number; additional: number }): Buffer {
  return numbers16(id, OPCODE_UPDATE << 11, 1, 0, counts.updates, counts.additional);
}

function textRecord(name: string, value: string, action: UpdateMessage['action']): Buffer {
  const text = Buffer.from(value, 'ascii');
  const data = Buffer.concat([Buffer.from([text.length]), text]);
  const [recordClass, ttl] = action === 'add' ? [CLASS.IN, TTL_SECONDS] : [CLASS.NONE, 0];
  return resource(name, TYPE.TXT, recordClass, ttl, data);
}

/** RFC 8945, section 4.3: what is signed, and what is sent. */
function tsig(id: number, message: Buffer, key: TsigKey, now: Date): Buffer {
  const time = Buffer.alloc(6);
  time.writeUIntBE(Math.floor(now.getTime() / 1000), 0, 6);
  const algorithm = wireName(key.algorithm);
  const noError = numbers16(0, 0);
  const variables = Buffer.concat([
    wireName(key.name),
    numbers16(CLASS.ANY),
    Buffer.alloc(4),
    algorithm,
    time,
    numbers16(FUDGE_SECONDS),
    noError,
  ]);
  const mac = createHmac(key.algorithm.replace('hmac-', ''), key.key)
    .update(message)
    .update(variables)
    .digest();
  const data = Buffer.concat([
    algorithm,
    time,
    numbers16(FUDGE_SECONDS, mac.length),
    mac,
    numbers16(id),
    noError,
  ]);
  return resource(key.name, TYPE.TSIG, CLASS.ANY, 0, data);
}

function resource(
  name: string,
  type: number,
  recordClass: number,
  ttl: number,
  data: Buffer,
): Buffer {
  const lifetime = Buffer.alloc(4);
  lifetime.writeUInt32BE(ttl);
  return Buffer.concat([
    wireName(name),
    numbers16(type, recordClass),
    lifetime,
    numbers16(data.length),
    data,
  ]);
}

/** Labels with their lengths, in small letters as a signature wants them. */
export function wireName(name: string): Buffer {
  const labels = name.toLowerCase().replace(/\.$/, '').split('.');
  return Buffer.concat([
    ...labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])),
    Buffer.alloc(1),
  ]);
}

function numbers16(...values: readonly number[]): Buffer {
  const buffer = Buffer.alloc(values.length * 2);
  for (const [index, value] of values.entries()) buffer.writeUInt16BE(value, index * 2);
  return buffer;
}

/** What an answer to an update says: response code, and the error of its TSIG record where it has one. */
export function updateAnswer(answer: Buffer, id: number): { rcode: number; tsigError: number } {
  if (answer.length < 12 || answer.readUInt16BE(0) !== id) return { rcode: -1, tsigError: 0 };
  const rcode = answer.readUInt16BE(2) & 0xf;
  const hasTsig = answer.readUInt16BE(10) === 1;
  // The record ends in: original id, error, length of other data (and six octets of it for BADTIME).
  const other = hasTsig && answer.readUInt16BE(answer.length - 2) === 0 ? 0 : 6;
  const place = answer.length - other - 4;
  return { rcode, tsigError: hasTsig && place > 12 ? answer.readUInt16BE(place) : 0 };
}
