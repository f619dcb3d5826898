import { parse } from 'node-cron';
import { AppError } from '../../errors.ts';
import type { CronTimes } from '../../model/agent-settings.ts';
import { firesOnEither } from '../rules/cron-times.ts';

/**
 * A schedule as node-cron reads it. It is read here and not in the agent: the parser would cost the
 * resident process 6 MB, and its own timers skip a local time that daylight saving jumps over, skip
 * the repeated hour of an hourly job, and know nothing of runs that were missed while the machine was off.
 *
 * @throws AppError `config/invalid` for a day that no month has
 */
export function cronTimes(cron: string): CronTimes {
  const { minute, hour, dayOfMonth, month, dayOfWeek } = read(cron);
  const [, , dayWord = '', , weekdayWord = ''] = cron.trim().split(/\s+/);
  return {
    minutes: sorted(minute),
    hours: sorted(hour),
    days: sorted(dayOfMonth),
    months: sorted(month),
    weekdays: sorted(dayOfWeek),
    eitherDay: firesOnEither(dayWord, weekdayWord),
  };
}

function read(cron: string): ReturnType<typeof parse> {
  try {
    return parse(cron);
  } catch (error) {
    throw new AppError({
      code: 'config/invalid',
      what: `the schedule "${cron}" never comes`,
      ...(error instanceof Error ? { why: error.message } : {}),
      hint: 'correct this cron in config.yaml',
      cause: error,
    });
  }
}

function sorted(values: readonly (number | string)[]): number[] {
  return values.map(Number).sort((left, right) => left - right);
}
