import { inspect } from 'node:util';

const REDACTED = '[redacted]';

/**
 * A secret value that prints as `[redacted]` wherever it is turned into text by accident
 * (string conversion, JSON, console). Only {@link Secret.reveal} gives the value.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}
