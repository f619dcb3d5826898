import { readJson, replaceFile } from '../files.ts';
import type { MemoryStore, ScheduleMemory } from './scheduler.ts';

/** `paths.agent/schedule.json`: which slot of each job was dealt with last. */
export class MemoryFile implements MemoryStore {
  readonly #path: string;
  readonly #jobs: Map<string, ScheduleMemory>;

  constructor(path: string) {
    this.#path = path;
    this.#jobs = new Map(Object.entries(readJson<Record<string, ScheduleMemory>>(path) ?? {}));
  }

  get(job: string): ScheduleMemory | undefined {
    return this.#jobs.get(job);
  }

  set(job: string, memory: ScheduleMemory): void {
    this.#jobs.set(job, memory);
    replaceFile(this.#path, JSON.stringify(Object.fromEntries(this.#jobs)), {
      mode: 0o600,
      durable: true,
    });
  }
}
