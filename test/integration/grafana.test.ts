import t from 'tap';
import { dashboardsOf } from '../../installer/components/grafana/dashboards.ts';
import { agentMetrics } from '../support/agent-metrics.ts';
import { configFrom } from '../support/component-render.ts';
import { MeasuredStack } from '../support/measured-stack.ts';

const stack = await MeasuredStack.start(agentMetrics());
t.teardown(() => stack.stop());

const config = configFrom(`
domain: app.example.com
services: { web: { image: "a:1", port: 3000, uses: [postgres, redis] } }
`);

for (const { id, panels } of dashboardsOf(config)) {
  t.test(`every query of the dashboard ${id} returns data`, async (t) => {
    for (const { title, queries } of panels) {
      for (const { expression, legend } of queries) {
        const [first] = await stack.until(expression);
        t.ok(first, title);
        // A legend that names a label which the result lacks would show an empty name.
        for (const [, label = ''] of legend?.matchAll(/\{\{(\w+)\}\}/g) ?? []) {
          t.ok(first?.metric[label], `${title}: label ${label}`);
        }
      }
    }
  });
}
