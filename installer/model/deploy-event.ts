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

/** Where events of deploys go. */
export type DeployReceiver = HookReceiver | MailReceiver;

/** By HTTP, in the form that its owner reads. */
export interface HookReceiver {
  readonly name: string;
  readonly channel: 'slack' | 'discord' | 'webhook' | 'pagerduty';
  /** Holds the URL; the integration key of PagerDuty. */
  readonly secret: string;
}

export interface MailReceiver {
  readonly name: string;
  readonly channel: 'email';
  /** Holds the URL of the mail server, with the login. */
  readonly secret: string;
  readonly to: readonly string[];
  /** Absent: the login where it is a mail address, else a name at the domain of the product. */
  readonly from?: string;
}

/** Delivers an event. Never fails and never takes long: a deploy does not depend on who is told of it. */
export type Announce = (event: DeployEvent) => Promise<void>;
