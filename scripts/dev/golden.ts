import { goldenFiles, renderScenario, scenarios, writeGolden } from '../../test/support/golden.ts';

/** Writes every golden tree anew; the diff is what a reviewer reads. */
for (const name of scenarios()) writeGolden(name, goldenFiles(renderScenario(name)));
