import type { ProgressEvent, Report } from '../../model/events.ts';
import { type Style, styleFor } from './style.ts';

export interface ProgressOutput {
  readonly write: (text: string) => void;
  readonly isTerminal: boolean;
  readonly color: boolean;
  readonly columns: number;
}

/** Progress for a person: a line that is rewritten on a terminal, whole lines elsewhere. */
export function progressReport(output: ProgressOutput): Report {
  const style = styleFor(output.color);
  const running = new Map<string, string>();
  let hasLiveLine = false;
  const clear = (): void => {
    if (hasLiveLine) output.write('\r\u001b[2K');
    hasLiveLine = false;
  };
  const live = (): void => {
    const last = [...running.values()].at(-1);
    if (!output.isTerminal || last === undefined) return;
    output.write(`\r\u001b[2K${`${style.dim('…')} ${last}`.slice(0, output.columns - 1)}`);
    hasLiveLine = true;
  };
  return (event) => {
    clear();
    if (event.kind === 'start') {
      running.set(event.id, event.text);
      if (!output.isTerminal) output.write(`… ${event.text}\n`);
    } else if (event.kind === 'progress') {
      running.set(event.id, event.text);
    } else {
      const text = lastingLine(event, running, style);
      if (text !== undefined) output.write(`${text}\n`);
    }
    live();
  };
}

function lastingLine(
  event: Exclude<ProgressEvent, { kind: 'start' | 'progress' }>,
  running: Map<string, string>,
  style: Style,
): string | undefined {
  switch (event.kind) {
    case 'end': {
      const text = running.get(event.id) ?? event.id;
      running.delete(event.id);
      const mark = event.result === 'failed' ? style.bad('✗') : style.good('✓');
      return `${mark} ${text} ${style.dim(`(${event.seconds.toFixed(1)} s)`)}`;
    }
    case 'notice':
      return event.text;
    case 'warning':
      return `${style.warn('!')} ${event.text}`;
  }
}
