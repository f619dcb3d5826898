import type { Run } from './run.ts';

export async function storeSecret(run: Run, { name }: { readonly name: string }): Promise<void> {
  const value = run.desired.newSecrets.get(name);
  if (value === undefined) throw new Error(`the plan stores ${name}, which has no new value`);
  await run.secrets.store(name, value);
}
