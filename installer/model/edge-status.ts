/** What nginx says on its internal port, at `/replicas`: for whoever waits for a switch or a drain. */
export interface EdgeStatus {
  /** Of the state by which every request from now on is routed. */
  readonly generation: number;
  /** Reachable replicas of each routed service, by container. */
  readonly services: Readonly<
    Record<string, Readonly<Record<string, { readonly address: string; readonly state: string }>>>
  >;
  /** By container; absent where there is nothing. */
  readonly inFlight: Readonly<
    Record<string, { readonly requests: number; readonly webSockets: number }>
  >;
  /** What is closed in force; names and addresses with spaces between. Absent where nginx is of an earlier version. */
  readonly maintenance?: {
    readonly all: boolean;
    /** Only those that are routed. */
    readonly services: string;
    readonly guests: string;
  };
}
