import type {
  ReplicaResult,
  ReplicasResult,
  ScalingResult,
  ServiceReplicas,
} from '../../installer/model/replicas-result.ts';
import { counter, gauge, type Metric, type Sample } from './text-format.ts';

/** @param deep services that have a deep health path */
export function replicaMetrics({ services }: ReplicasResult, deep: ReadonlySet<string>): Metric[] {
  const perService = (value: (service: ServiceReplicas) => number): Sample[] =>
    services.map((service) => ({ labels: { service: service.service }, value: value(service) }));
  const perReplica = (value: (replica: ReplicaResult, service: string) => number): Sample[] =>
    services.flatMap(({ service, replicas }) =>
      replicas.map((replica) => ({
        labels: { service, replica: replica.container },
        value: value(replica, service),
      })),
    );
  const scaled = services.flatMap(({ service, scaling }) =>
    scaling === undefined ? [] : [{ service, scaling }],
  );
  const perScaled = (value: (scaling: ScalingResult) => number): Sample[] =>
    scaled.map(({ service, scaling }) => ({ labels: { service }, value: value(scaling) }));
  return [
    gauge(
      'holdfast_replica_healthy',
      'Whether the replica answers as it should.',
      perReplica(({ healthy }) => Number(healthy)),
    ),
    gauge(
      'holdfast_replica_serving',
      'Whether nginx sends requests to the replica.',
      perReplica(({ serving }) => (serving === undefined ? Number.NaN : Number(serving))),
    ),
    gauge(
      'holdfast_replica_deep_healthy',
      'Whether the deep health path of the replica answers well.',
      perReplica(({ deepWhy }, service) =>
        deep.has(service) ? Number(deepWhy === undefined) : Number.NaN,
      ),
    ),
    counter(
      'holdfast_replica_restarts_total',
      'Restarts of sick replicas by the agent.',
      perService(({ restarts }) => restarts),
    ),
    counter(
      'holdfast_replica_taken_out_total',
      'Times that a sick replica was taken out of nginx.',
      perService(({ takenOut }) => takenOut),
    ),
    gauge(
      'holdfast_service_replicas',
      'Replicas of the service.',
      perService(({ replicas }) => replicas.length),
    ),
    gauge(
      'holdfast_service_cpu_percent',
      "Mean CPU use of a service's replicas, percent of the limit of each.",
      perScaled(({ cpuPercent }) => cpuPercent ?? Number.NaN),
    ),
    gauge(
      'holdfast_scaling_at_maximum',
      'Whether the load asks for more than the most replicas.',
      perScaled(({ atMaximum }) => Number(atMaximum)),
    ),
    gauge(
      'holdfast_scaling_blocked',
      'Whether the machine does not bear the replicas that the load asks for.',
      perScaled(({ blocked }) => Number(blocked !== undefined)),
    ),
    counter(
      'holdfast_scaling_changes_total',
      'Changes of the number of replicas by the agent.',
      scaled.flatMap(({ service, scaling }) => [
        { labels: { service, direction: 'up' }, value: scaling.changesUp },
        { labels: { service, direction: 'down' }, value: scaling.changesDown },
      ]),
    ),
  ];
}
