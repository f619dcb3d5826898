/** How long a command may run when it does not say, seconds. */
export const DEFAULT_TIMEOUT_SECONDS = 600;

/** From SIGTERM to SIGKILL, seconds. */
export const KILL_GRACE_SECONDS = 5;

/** How long outputs may stay open after the program itself has ended, seconds. */
export const OUTPUT_GRACE_SECONDS = 2;
