/** In the page itself: it has to be whole in years, wherever it is kept. */
export const REPORT_STYLE = `:root { --ink: #14211d; --soft: #5c6b66; --line: #d9e0dd; --paper: #fbfcfb; --own: #17624f; --bad: #b3261e; color-scheme: light dark }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7eeeb; --soft: #9aaaa4; --line: #2f3b37; --paper: #121816; --own: #5cc7a6; --bad: #ff8a80 }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 3.5rem 1.25rem 4rem; max-width: 50rem; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; font-variant-numeric: tabular-nums }
.kicker, .where { margin: 0; color: var(--soft) }
h1 { margin: .3rem 0 .4rem; font-size: clamp(1.6rem, 5vw, 2.3rem); line-height: 1.2; font-weight: 650; text-wrap: balance }
h2 { margin: 3rem 0 .75rem; font-size: 1.15rem; font-weight: 650 }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); gap: 1px; margin: 2.25rem 0 0; background: var(--line); border-block: 1px solid var(--line) }
.figures div { padding: 1rem .9rem 1.1rem 0; background: var(--paper) }
.figures div + div { padding-left: .9rem }
dt, .note { margin: 0; color: var(--soft); font-size: .875rem }
dd { margin: 0; font-size: 1.35rem; font-weight: 600 }
dd.note { font-size: .875rem; font-weight: 400 }
.bad dd:first-of-type, strong.bad { color: var(--bad) }
figure { margin: 0 0 1.5rem }
figcaption { color: var(--soft); font-size: .875rem; margin-bottom: .25rem }
figcaption strong { color: var(--ink) }
svg { display: block; width: 100%; height: auto; overflow: visible }
.grid { stroke: var(--line) }
.axis, text.limit { font-size: 12px; fill: var(--soft) }
line.limit { stroke: var(--soft); stroke-dasharray: 5 4 }
polyline { fill: none; stroke: var(--own); stroke-width: 1.75; stroke-linejoin: round }
circle { fill: var(--own) }
.failed { fill: none; stroke: var(--bad); stroke-width: 2 }
.wide { overflow-x: auto }
table { width: 100%; border-collapse: collapse; font-size: .9rem }
th { text-align: left; font-weight: 500; color: var(--soft) }
th, td { padding: .45rem 1rem .45rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
th:last-child, td:last-child { padding-right: 0 }
td time, td code { white-space: nowrap }
code { font: .85em ui-monospace, SFMono-Regular, Menlo, monospace }
.hash { overflow-wrap: anywhere }
.empty { color: var(--soft); margin: 0 }
details { margin-top: 1rem }
summary { cursor: pointer; color: var(--own); padding: .25rem 0 }
footer { margin-top: 3.5rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft); font-size: .875rem }
footer p { margin: 0 0 .6rem; max-width: 42rem }
@media print { body { padding: 0; max-width: none; background: #fff } h2 { break-after: avoid } figure, tr { break-inside: avoid } }
`;
