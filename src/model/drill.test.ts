import { expect, test } from 'vitest'
import { admit, admitUpdate } from './admission.ts'
import { faultKinds } from './faults.ts'
import { formatFieldError } from './field-error.ts'
import { kinds } from './registry.ts'

const drill = (spec: object) => ({
  apiVersion: 'millwright.dev/v1alpha1',
  kind: 'Drill',
  metadata: { name: 'd' },
  spec,
})

function errorsOf(spec: object): string[] {
  const verdict = admit(kinds.Drill, drill(spec))
  return 'errors' in verdict ? verdict.errors.map(formatFieldError) : []
}

test.each<[string, object]>([
  ['a rank', { fault: { kind: 'process-crash' }, target: { job: 'ring', rank: 1 } }],
  ['a hang for a while', { fault: { kind: 'hang', lasts: '20s' }, target: { labels: { team: 'a' } } }],
  ['a rack', { fault: { kind: 'node-loss', lasts: '2m', reach: 'rack' }, target: { service: 'chat' } }],
  [
    'a line to the control plane',
    { fault: { kind: 'network-partition', from: 'control-plane', lasts: '1h' }, target: { node: 'n' } },
  ],
  ['storage', { fault: { kind: 'storage-slow', lasts: '1h', slowness: 4 } }],
  ['a clock', { fault: { kind: 'clock-jump', lasts: '1h', by: '-90s' }, target: { node: 'n' } }],
  ['the clock of the leader', { fault: { kind: 'control-plane-clock-jump', by: '2h' } }],
  ['the control plane', { fault: { kind: 'control-plane-crash' }, expect: { recoveredWithin: '20s' } }],
])('%s can be struck', (_, spec) => {
  expect(errorsOf(spec)).toEqual([])
})

test.each<[string, object, string]>([
  [
    'a kind that there is not',
    { fault: { kind: 'node-los' }, target: { node: 'n' } },
    `spec.fault.kind: must be one of a few words, found "node-los"; allowed: ${faultKinds.join(', ')}; did you mean "node-loss"?`,
  ],
  [
    'a field of another fault',
    { fault: { kind: 'hang', slowness: 2 }, target: { job: 'ring' } },
    'spec.fault.slowness: must be left out of a hang: it is of a straggler, storage-slow, found 2',
  ],
  [
    'a partition from nobody',
    { fault: { kind: 'network-partition', lasts: '1h', from: 'storage' }, target: { node: 'n' } },
    'spec.fault.from: must be one of a few words, found "storage"; allowed: all, control-plane',
  ],
  [
    'a jump of no time',
    { fault: { kind: 'clock-jump', lasts: '1h', by: '+5' }, target: { node: 'n' } },
    'spec.fault.by: is not a duration; write a number with a unit, e.g. 500ms, 30s, 10m, 1h30m or 2d, with - before it for back, found "+5"',
  ],
  [
    'a GPU error without its number',
    { fault: { kind: 'gpu-error' }, target: { job: 'ring' } },
    'spec.fault.xid: is required of a gpu-error: 13, 31, 43, 45, 46, 48, 62, 63, 64, 74, 79, 92, 94, 95, 109, 119, 120, 140, 143, 144, 145, 146, 147, 148, 149, 150, 158, found nothing',
  ],
  [
    'a GPU error that ends nothing',
    { fault: { kind: 'gpu-error', xid: 63 }, target: { job: 'ring' } },
    'spec.fault.xid: ends nothing that runs: there is nothing to recover from, found 63',
  ],
  [
    'how long what is over at once lasts',
    { fault: { kind: 'process-crash', lasts: '3s' }, target: { job: 'ring' } },
    'spec.fault.lasts: must be left out of a process-crash: it is over at once, found "3s"',
  ],
  [
    'a node for ever',
    { fault: { kind: 'node-loss' }, target: { node: 'n' } },
    'spec.fault.lasts: is required: how long a node-loss lasts; allowed: a number with a unit, e.g. 500ms, 30s, 10m, 1h30m or 2d',
  ],
  ['nothing', { fault: { kind: 'hang' } }, 'spec.target: is required; allowed: one of job, service, labels, node'],
  [
    'two at once',
    { fault: { kind: 'hang' }, target: { job: 'ring', node: 'n' } },
    'spec.target: must say what is struck, once, found job and node; allowed: one of job, service, labels, node',
  ],
  ['a rank of nothing', { fault: { kind: 'hang' }, target: { node: 'n', rank: 1 } }, 'spec.target.rank: goes with job'],
  [
    'a part of the control plane',
    { fault: { kind: 'control-plane-crash' }, target: { node: 'n' } },
    'spec.target: must be left out: there is one control plane',
  ],
  [
    'a part of storage',
    { fault: { kind: 'storage-outage', lasts: '1m' }, target: { node: 'n' } },
    'spec.target: must be left out: there is one object storage',
  ],
  [
    'storage for ever',
    { fault: { kind: 'storage-full' } },
    'spec.fault.lasts: is required: how long a storage-full lasts; allowed: a number with a unit, e.g. 500ms, 30s, 10m, 1h30m or 2d',
  ],
  [
    'a misspelt expectation',
    { fault: { kind: 'hang' }, target: { job: 'ring' }, expect: { recoverdWithin: '3s' } },
    'spec.expect.recoverdWithin: unknown field; did you mean "recoveredWithin"?',
  ],
])('%s cannot', (_, spec, message) => {
  expect(errorsOf(spec)).toEqual([message])
})

test('what a drill does never changes: it strikes once', () => {
  const admitted = admit(kinds.Drill, drill({ fault: { kind: 'hang' }, target: { job: 'ring' } }))
  if ('errors' in admitted) throw new Error('not admitted')
  const changed = admitUpdate(
    kinds.Drill,
    admitted.object,
    drill({ fault: { kind: 'hang' }, target: { job: 'other' } }),
  )
  expect('errors' in changed && changed.errors.map(formatFieldError)).toEqual([
    'spec: never changes: a Drill strikes once; make another',
  ])
})
