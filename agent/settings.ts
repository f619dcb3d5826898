import type { AgentSettings } from '../installer/model/agent-settings.ts';
import { readText } from './files.ts';

/** The applied settings. @throws Error when there are none, or not of this version */
export function readSettings(path: string): AgentSettings {
  const text = readText(path);
  if (text === undefined) throw new Error(`there is no ${path}: run holdfast apply`);
  const settings = JSON.parse(text) as AgentSettings;
  if (settings.version !== 1 || !Array.isArray(settings.jobs)) {
    throw new Error(`${path} is of another version: run holdfast apply`);
  }
  // An agent of a new release starts with the settings of the apply before it.
  return { ...settings, services: settings.services ?? [] };
}
