import t from 'tap';
import {
  type Journal,
  journalFile,
  noteSwap,
  saveJournal,
  unlessSwapped,
} from '../../installer/backup/restore/swap-journal.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { MemoryHost } from '../support/memory-host.ts';

const VOLUME = 'shop_papers';
const paths = pathsUnder('/srv');
const swap = (token: string): Journal => ({
  ...{ version: 1, id: 'a', token, phase: 'swapping', image: 'i', stopped: [] },
});

/** What a reader gets while `meanwhile` goes on between two pieces. */
async function read(host: MemoryHost, meanwhile: () => Promise<void>): Promise<string[]> {
  async function* content(): AsyncGenerator<string> {
    yield 'one';
    await meanwhile();
    yield 'two';
  }
  const got: string[] = [];
  for await (const piece of unlessSwapped(host, paths, VOLUME, content())) got.push(piece);
  return got;
}

t.test('a volume is saved whole, or not at all where a restore swaps its files', async (t) => {
  const host = new MemoryHost();
  const code = 'backup/restored-meanwhile';
  const file = journalFile(paths, VOLUME);
  const nothing = async () => undefined;
  t.strictSame(await read(host, nothing), ['one', 'two']);
  // The whole swap passes between two pieces.
  const swapping = () => noteSwap(host, paths, VOLUME, swap('first'));
  await t.rejects(read(host, swapping), { code });
  t.strictSame(await read(host, nothing), ['one', 'two'], 'one of before does not matter');
  await t.rejects(
    read(host, () => noteSwap(host, paths, VOLUME, swap('second'))),
    { code },
  );
  await saveJournal(host, file, swap('third'));
  await t.rejects(read(host, nothing), { code }, 'nor is half a swap saved');
  await saveJournal(host, file, { ...swap('third'), phase: 'preparing' });
  t.strictSame(await read(host, nothing), ['one', 'two'], 'what lies beside is not read');
});
