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
}
