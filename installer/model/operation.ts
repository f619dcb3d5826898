import type { Notice } from './contribution.ts';
import type { Rehearsal } from './postgres-upgrade.ts';

/** What a change does to what is running, from least to most. */
export const IMPACTS = ['none', 'reload', 'restart', 'recreate', 'destructive'] as const;
export type Impact = (typeof IMPACTS)[number];

interface OperationBase {
  /** Unique in a plan and the same for the same change, such as `write-file:nginx/nginx.conf`. */
  readonly id: string;
  /** Why, one phrase. */
  readonly cause: string;
  readonly impact: Impact;
  /** Takes away what the way back would need: done once the new state has proved itself and counts. */
  readonly afterwards?: true;
}

/** One step of a plan. Every one may be run again after a kill and then converges. */
export type Operation =
  /** Backups of the databases, before anything else changes. */
  | (OperationBase & { readonly kind: 'back-up' })
  | (OperationBase & { readonly kind: 'store-secret'; readonly name: string })
  | (OperationBase & {
      readonly kind: 'make-directory';
      readonly path: string;
      readonly mode: number;
    })
  | (OperationBase & {
      readonly kind: 'bake-images';
      readonly targets: readonly string[];
      readonly references: readonly string[];
    })
  | (OperationBase & { readonly kind: 'pull-image'; readonly reference: string })
  | (OperationBase & {
      readonly kind: 'build-image';
      readonly service: string;
      readonly reference: string;
    })
  /** Brings the files of a release beside those that are served. */
  | (OperationBase & {
      readonly kind: 'make-release';
      readonly site: string;
      readonly release: string;
    })
  | (OperationBase & {
      readonly kind: 'switch-site';
      readonly site: string;
      readonly release: string;
    })
  | (OperationBase & {
      readonly kind: 'remove-releases';
      readonly site: string;
      readonly releases: readonly string[];
    })
  | (OperationBase & { readonly kind: 'remove-site'; readonly site: string })
  | (OperationBase & {
      readonly kind: 'write-file';
      readonly path: string;
      readonly diff: string;
      readonly secret: boolean;
    })
  | (OperationBase & {
      readonly kind: 'remove-file';
      readonly path: string;
      readonly diff: string;
      readonly secret: boolean;
    })
  /** Copies the data of Postgres into a new volume for another major version; nothing writes meanwhile. */
  | (OperationBase & {
      readonly kind: 'upgrade-postgres';
      readonly from: string;
      readonly to: string;
      /** As the stack calls it; the old one stays. */
      readonly volume: string;
      readonly neededBytes: number;
      readonly freeBytes: number;
      readonly rehearsal?: Rehearsal;
    })
  /** Starts, creates or recreates the containers of these services and waits for their health. */
  | (OperationBase & { readonly kind: 'compose-up'; readonly services: readonly ServiceChange[] })
  /** Takes a release out of service that a killed deploy left running. */
  | (OperationBase & {
      readonly kind: 'retire-release';
      readonly service: string;
      readonly containers: readonly string[];
    })
  /** Takes away what answered for a container that was being replaced when an apply was killed. */
  | (OperationBase & { readonly kind: 'retire-stand-in'; readonly service: string })
  | (OperationBase & {
      readonly kind: 'remove-containers';
      readonly service: string;
      readonly containers: readonly string[];
    })
  /** Networks go by their name on the engine. */
  | (OperationBase & {
      readonly kind: 'create-network';
      readonly network: string;
      /** CIDR. */
      readonly subnet: string;
      readonly internal: boolean;
    })
  /** Attaches containers of a service as they are, running or not. */
  | (OperationBase &
      NetworkMembers & {
        readonly kind: 'connect-network';
        /** IPv4, where it is fixed for the service there. */
        readonly address?: string;
      })
  | (OperationBase & NetworkMembers & { readonly kind: 'disconnect-network' })
  | (OperationBase & { readonly kind: 'remove-network'; readonly network: string })
  /** Images that we made present; one that a container uses stays. */
  | (OperationBase & { readonly kind: 'remove-images'; readonly references: readonly string[] })
  | (OperationBase & { readonly kind: 'reload'; readonly service: string })
  | (OperationBase & { readonly kind: 'restart'; readonly service: string })
  | (OperationBase & { readonly kind: 'provision'; readonly provision: string })
  | (OperationBase & {
      readonly kind: 'host-command';
      readonly argv: readonly [string, ...string[]];
      /** Over a new connection. */
      readonly confirm?: readonly [string, ...string[]];
      readonly timeoutSeconds?: number;
      /** Told where it fails; the apply goes on then. */
      readonly failure?: Notice;
    });

export interface NetworkMembers {
  readonly network: string;
  readonly service: string;
  /** Ids. */
  readonly containers: readonly string[];
}

export interface ServiceChange {
  readonly service: string;
  /** `release`: new containers beside the old ones, which stop once the new ones have taken over. */
  readonly change: 'create' | 'start' | 'recreate' | 'release' | 'scale';
  readonly cause: string;
  /** Of a recreate that frees published ports: who answers on them meanwhile. */
  readonly gap?: Gap;
}

export type Gap =
  | { readonly standIn: true }
  /** New connections are refused for about a second. */
  | { readonly standIn: false; readonly why: string };

export interface Plan {
  readonly project: string;
  readonly operations: readonly Operation[];
  readonly notices: readonly { readonly code: string; readonly text: string }[];
  /** Files of ours that somebody else changed, and containers gone or altered. */
  readonly drift: readonly Drift[];
}

/** Something of ours that somebody else changed. */
export interface Drift {
  /** Absolute path, or container name. */
  readonly subject: string;
  readonly text: string;
  /** `apply` refuses until a person decides: put ours back, or move the change into the config. */
  readonly blocks: boolean;
}
