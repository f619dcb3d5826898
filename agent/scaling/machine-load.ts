import { readText } from '../files.ts';
import type { Headroom } from './headroom.ts';

/** Reads what the machine has left. */
export class MachineLoad {
  readonly #folder: string;
  #before: ProcessorTime | undefined;
  #busyPercent: number | undefined;

  /** @param folder `/proc`; a test brings its own */
  constructor(folder = '/proc') {
    this.#folder = folder;
  }

  /** Notes the processors' time so far; what they did since the last look is in the next {@link headroom}. */
  look(): void {
    const now = processorTime(readText(`${this.#folder}/stat`) ?? '');
    if (now === undefined) return;
    const before = this.#before;
    this.#before = now;
    if (before === undefined || now.all <= before.all) return;
    this.#busyPercent = 100 * (1 - (now.idle - before.idle) / (now.all - before.all));
  }

  headroom(): Headroom {
    const memory = readText(`${this.#folder}/meminfo`) ?? '';
    return {
      memoryAvailable: kilobytes(memory, 'MemAvailable'),
      memoryTotal: kilobytes(memory, 'MemTotal'),
      ...(this.#busyPercent === undefined ? {} : { cpuBusyPercent: this.#busyPercent }),
    };
  }
}

interface ProcessorTime {
  readonly all: number;
  readonly idle: number;
}

/** proc(5): user nice system idle iowait irq softirq steal, in ticks; guest time is in user already. */
function processorTime(stat: string): ProcessorTime | undefined {
  const fields = /^cpu +(.*)$/m.exec(stat)?.[1]?.split(' ').slice(0, 8).map(Number);
  if (fields === undefined || fields.length < 8) return undefined;
  const [, , , idle = 0, waiting = 0] = fields;
  return { all: fields.reduce((sum, ticks) => sum + ticks, 0), idle: idle + waiting };
}

function kilobytes(text: string, name: string): number {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1];
  return Number(found ?? 0) * 1_024;
}
