/** What was observed of the host before rendering. */
export interface HostFacts {
  /** Bytes of memory of the machine. */
  readonly memoryBytes: number;
  readonly cores: number;
  /** `x64` or `arm64`, as Node names them. */
  readonly architecture: 'x64' | 'arm64';
  readonly distribution: { readonly id: string; readonly version: string };
  /** PID 1 is systemd. */
  readonly systemd: boolean;
  /** The program that loads our firewall is there. */
  readonly nft: boolean;
  readonly ssh: SshFacts;
  /** Firewalls that somebody else runs here, such as `ufw`. */
  readonly otherFirewalls: readonly string[];
  /** Somebody may reach this machine over IPv6, if only from the same link. */
  readonly ipv6: boolean;
}

/** How this machine is reached by SSH. */
export interface SshFacts {
  /** Ports that its server listens on, sorted; empty without one. */
  readonly ports: readonly number[];
  /** The session in which this program runs, where it runs in one. */
  readonly session?: SshSession;
}

export interface SshSession {
  /** Where the person sits. */
  readonly address: string;
  /** The server's port. */
  readonly port: number;
}
