import { REPLICAS_RESULT, type ReplicasResult } from '../../installer/model/replicas-result.ts';
import { readJson, replaceFile } from '../files.ts';

/** What `holdfast status` reads, and the next agent. Written when it changes. */
export class ReplicasFile {
  readonly #path: string;
  #written = '';

  /** @param folder `paths.agent` */
  constructor(folder: string) {
    this.#path = `${folder}/${REPLICAS_RESULT}`;
  }

  read(): ReplicasResult | undefined {
    return readJson<ReplicasResult>(this.#path);
  }

  write(result: ReplicasResult): void {
    const text = JSON.stringify(result);
    if (text === this.#written) return;
    replaceFile(this.#path, text, { mode: 0o600, durable: false });
    this.#written = text;
  }
}
