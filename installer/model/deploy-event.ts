/** What is told of a deploy. `rolled-back`: the release before serves again, by itself or on request. */
export type DeployEventKind = 'started' | 'succeeded' | 'failed' | 'rolled-back' | 'scaled';

export interface DeployEvent {
  readonly kind: DeployEventKind;
  /** UTC. */
  readonly at: string;
  readonly who: string;
  /** Such as `holdfast deploy api ghcr.io/acme/api:1.4.2`. */
  readonly command: string;
  readonly changes: readonly DeployedChange[];
  /** From the yes to the end; absent at the start. */
  readonly seconds?: number;
  /** Code and sentence of a failure, without what programs said: that may be anything. */
  readonly reason?: string;
}

export interface DeployedChange {
  readonly kind: 'service' | 'site';
  readonly name: string;
  /** The image, or the release of a site. */
  readonly version: string;
  /** Of a service. */
  readonly replicas?: number;
}

/** Where events of deploys go: a URL that a secret holds, and the form that its owner reads. */
export interface DeployReceiver {
  readonly name: string;
  readonly channel: 'slack' | 'discord' | 'webhook';
  readonly secret: string;
}

/** Delivers an event. Never fails and never takes long: a deploy does not depend on who is told of it. */
export type Announce = (event: DeployEvent) => Promise<void>;
