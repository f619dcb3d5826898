import { parse } from 'node-cron';
import t from 'tap';
import { cronHits } from '../../installer/components/rules/cron-times.ts';
import { nearest } from '../../installer/components/rules/nearest.ts';
import { splitCommand } from '../../installer/config/split-command.ts';
import {
  formatDuration,
  formatSize,
  isCron,
  parseDuration,
  parseSize,
  timeZoneNamed,
} from '../../installer/model/units.ts';

t.test('durations are seconds', async (t) => {
  const rows: Readonly<Record<string, number>> = {
    '0s': 0,
    '30s': 30,
    '5m': 300,
    '1h': 3_600,
    '7d': 604_800,
    '8w': 4_838_400,
    '12M': 31_104_000,
    '7y': 220_752_000,
  };
  for (const [text, seconds] of Object.entries(rows)) t.equal(parseDuration(text), seconds, text);
  for (const text of ['', '5', 'm', '5 m', '5min', '-5m', '1.5h', '5H', '١m', '9999999999s']) {
    t.equal(parseDuration(text), undefined, text);
  }
});

t.test('sizes are bytes', async (t) => {
  t.equal(parseSize('512k'), 524_288);
  t.equal(parseSize('10m'), 10_485_760);
  t.equal(parseSize('4g'), 4_294_967_296);
  t.equal(parseSize('1t'), 1_099_511_627_776);
  for (const text of ['', '10', '10M', '10mb', '1.5g', '-1g', '999999999t']) {
    t.equal(parseSize(text), undefined, text);
  }
});

t.test('the written form reads back as the same amount', async (t) => {
  for (const seconds of [0, 1, 59, 60, 90, 3_600, 5_400, 86_400, 90_061]) {
    t.equal(parseDuration(formatDuration(seconds)), seconds);
  }
  for (const bytes of [0, 1024, 1_048_576, 1_610_612_736, 4_294_967_296]) {
    t.equal(parseSize(formatSize(bytes)), bytes);
  }
  t.equal(formatDuration(5_400), '90m');
  t.equal(formatDuration(604_800), '7d');
  t.equal(formatSize(1_610_612_736), '1536m');
  t.equal(formatSize(1), '1k');
});

t.test('time zones are those of IANA', async (t) => {
  for (const zone of ['UTC', 'Europe/Paris', 'America/Sao_Paulo']) {
    t.equal(timeZoneNamed(zone), zone);
  }
  for (const zone of ['', 'Paris', '+02:00', 'Europe/', 'Europe/Paris ']) {
    t.equal(timeZoneNamed(zone), undefined, zone);
  }
  // A process whose TZ has other letters than these is in UTC, without a word.
  t.equal(timeZoneNamed('europe/paris'), 'Europe/Paris');
  t.equal(timeZoneNamed('us/eastern'), 'America/New_York');
});

t.test('schedules have five fields within their ranges', async (t) => {
  for (const cron of [
    '0 2 * * *',
    '*/15 * * * *',
    '0 0 1,15 * 1-5',
    '30 4 * jan-mar sun',
    '0 5 1 * 7',
    '5-50/10 * * * *',
  ]) {
    t.equal(isCron(cron), true, cron);
  }
  for (const cron of [
    '',
    '* * * *',
    '* * * * * *',
    '60 * * * *',
    '* 24 * * *',
    '* * 0 * *',
    '* * * 13 *',
    '* * * * 8',
    '5-1 * * * *',
    '*/0 * * * *',
    '5/10 * * * *',
    '1,,2 * * * *',
    '@daily',
    '0 2 * * mo',
    'a b c d e',
  ]) {
    t.equal(isCron(cron), false, cron);
  }
});

t.test('a schedule that is accepted is one that the scheduler reads', async (t) => {
  const minutes = ['*', '*/15', '0', '1-5,7', '0-59/59'];
  const days = ['*', '1', '29', '30', '31', '28,31', '*/7'];
  const months = ['*', '2', '4,6', 'feb', 'jan-mar', '*/2'];
  const weekdays = ['*', '7', '0-7', 'mon-fri', 'sun'];
  let accepted = 0;
  for (const minute of minutes) {
    for (const day of days) {
      for (const month of months) {
        for (const weekday of weekdays) {
          const cron = `${minute} 2 ${day} ${month} ${weekday}`;
          if (isCron(cron)) accepted += 1;
          if (isCron(cron) !== isReadable(cron)) t.fail(cron);
        }
      }
    }
  }
  t.ok(accepted > 900);
  for (const never of ['0 0 31 2 *', '0 0 30 feb *', '0 0 31 4,6 *', '0 0 31 4,6 mon']) {
    t.equal(isCron(never), false, never);
  }
});

function isReadable(cron: string): boolean {
  try {
    parse(cron);
    return true;
  } catch {
    return false;
  }
}

t.test('a schedule is known to fall into a window', async (t) => {
  const night = { from: '23:00', to: '03:00', days: [0] };
  t.equal(cronHits('30 23 * * 0', night), true);
  t.equal(cronHits('0 1 * * 1', night), true);
  t.equal(cronHits('0 1 * * 0', night), false);
  t.equal(cronHits('0 3 * * 1', night), false);
  t.equal(cronHits('0 1 1 * *', night), true);
  t.equal(cronHits('0 3 1-7 * 1', { ...night, to: '04:00' }), true);
  t.equal(cronHits('0 1 */2 * 2', night), false);
  t.equal(cronHits('*/20 * * * *', { from: '04:10', to: '04:15', days: undefined }), false);
  t.equal(cronHits('*/10 4 * * mon-fri', { from: '04:10', to: '04:15', days: [5] }), true);
});

t.test('commands are split by quotes and blanks, and by nothing else', async (t) => {
  t.strictSame(splitCommand('npx prisma migrate deploy'), ['npx', 'prisma', 'migrate', 'deploy']);
  t.strictSame(splitCommand(`sh -c 'a && b $C' "d \\"e\\" \\n" f\\ g ''`), [
    'sh',
    '-c',
    'a && b $C',
    'd "e" \\n',
    'f g',
    '',
  ]);
  t.strictSame(splitCommand(`a"b"'c'd`), ['abcd']);
  for (const open of ['', '  ', `'a`, '"a', 'a\\']) t.equal(splitCommand(open), undefined);
});

t.test('the nearest word is near', async (t) => {
  const words = ['replicas', 'resources', 'routes', 'port', 'path'];
  t.equal(nearest('replcas', words), 'replicas');
  t.equal(nearest('prot', words), 'port');
  t.equal(nearest('Replicas', words), 'replicas');
  t.equal(nearest('route', words), 'routes');
  t.equal(nearest('xyz', words), undefined);
  t.equal(nearest('constructor', words), undefined);
});
