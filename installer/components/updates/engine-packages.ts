/** Debian's and Docker's own packages whose upgrade restarts the engine, and every container with it. */
export const ENGINE_PACKAGES = ['docker.io', 'docker-ce', 'containerd', 'containerd.io'] as const;
