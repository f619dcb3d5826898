import type { Component } from '../../installer/components/component.ts';
import { postgres } from '../../installer/components/postgres/component.ts';
import { redis } from '../../installer/components/redis/component.ts';
import { services } from '../../installer/components/services/component.ts';
import type { Desired } from '../../installer/model/desired.ts';
import { EMPTY_LOCK, type LockFile } from '../../installer/model/lock-file.ts';
import { render } from '../../installer/render/render.ts';
import { configOf, type InputOptions, inputOf, packageAssets } from './component-input.ts';

export const DATA_COMPONENTS: readonly Component[] = [services, postgres, redis];

/** What the services and their data servers become for a config. */
export function renderedData(
  body: string,
  options: InputOptions = {},
  lock: LockFile = EMPTY_LOCK,
): Desired {
  const config = configOf(body);
  return render({
    ...inputOf(config, DATA_COMPONENTS, options),
    components: DATA_COMPONENTS,
    assets: packageAssets(),
    lock,
    configDigest: '0',
    newSecrets: new Map(),
    notices: [],
  });
}

/** The content of a rendered file below the stack folder, or at an absolute path. */
export function fileText(desired: Desired, path: string): string {
  const file = [...desired.files.values()].find((entry) => entry.path.endsWith(path));
  if (file === undefined) {
    throw new Error(`no file ${path}; there are ${[...desired.files.keys()].join(', ')}`);
  }
  return file.content;
}
