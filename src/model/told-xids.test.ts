import { expect, test } from 'vitest'
import { admit } from './admission.ts'
import { formatFieldError } from './field-error.ts'
import { kinds } from './registry.ts'
import { toldXidsMax, withToldXid, xidsToldBy } from './told-xids.ts'
import { xidInfo, xidsKnown } from './xids.ts'

const key = 'millwright.dev/xids'
const nodeWith = (text: string) => ({ metadata: { name: 'n', annotations: { [key]: text } } })
const at = '2026-11-05T10:00:00Z'
const told = (over: object = {}) => ({ xid: 79, device: 'GPU-5f4c', at, ...over })
const read = (...list: unknown[]) => xidsToldBy(nodeWith(JSON.stringify(list)))

test('a node tells its XIDs by number, GPU and time; one that says nothing tells none', () => {
  expect(read(told(), told({ xid: 154, action: 'reboot', device: 'PCI:0000:b4:00' }))).toMatchObject({
    xids: [{ xid: 79 }, { xid: 154, action: 'reboot' }],
  })
  expect(read()).toEqual({ xids: [] })
  expect(xidsToldBy({ metadata: { name: 'n' } })).toBeUndefined()
})

test.each<[string, unknown]>([
  ['is no JSON', '[{'],
  ['[0].xid', [told({ xid: 'seventy-nine' })]],
  ['[0].xid', [told({ xid: 1e9 })]],
  ['[0].xid', [told({ xid: -79 })]],
  ['[0].at', [told({ at: 'yesterday' })]],
  ['[0].device', [told({ device: '\u001b[2Jgpu' })]],
  ['[0].device', [told({ device: 'x'.repeat(97) })]],
  ['goes with XID 154', [told({ action: 'reset' })]],
  ['goes with XID 154', [told({ xid: 154 })]],
  ['Unrecognized key', [told({ command: 'rm' })]],
  ['expected array', { xid: 79 }],
  ['Too big', Array.from({ length: toldXidsMax + 1 }, () => told())],
  ['is longer than', `"${'x'.repeat(20_000)}"`],
])('what says otherwise is not read, and why is said: %s', (problem, value) => {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const found = xidsToldBy(nodeWith(text))
  const said = found !== undefined && 'problem' in found ? found.problem : ''
  expect(said.replaceAll('][', '.').replace(/\[(\d+)\.(\w+)\]/, '[$1].$2')).toContain(problem)
  expect(said.length).toBeLessThan(200)
})

test('whoever writes a Node that says otherwise is told which field', () => {
  const info = kinds.Node
  const admitted = admit(info, { apiVersion: 'v1', kind: 'Node', ...nodeWith('[{"xid": 79}]') })
  expect('errors' in admitted && admitted.errors.map(formatFieldError)).toEqual([
    'metadata.annotations["millwright.dev/xids"]: [0][device]: Invalid input: expected string, received undefined; allowed: a JSON list of at most 32 {"xid", "device", "at"}, of 154 with "action"',
  ])
  const right = admit(info, { apiVersion: 'v1', kind: 'Node', ...nodeWith(JSON.stringify([told()])) })
  expect('errors' in right).toBe(false)
})

test('of many the newest stay, and what was not read is begun anew', () => {
  let node = nodeWith('[{')
  for (let xid = 1; xid <= toldXidsMax + 3; xid++) node = nodeWith(withToldXid(node, { xid, device: 'gpu-0', at }))
  const found = xidsToldBy(node)
  expect(found !== undefined && 'xids' in found && found.xids.map(({ xid }) => xid)).toEqual(
    Array.from({ length: toldXidsMax }, (_, index) => index + 4),
  )
})

test('each XID of the table asks for what the table says', () => {
  const by = (action: string) => xidsKnown.filter((xid) => xidInfo(xid)?.action === action)
  expect(by('restart')).toEqual([13, 31, 94])
  expect(by('ignore')).toEqual([43])
  expect(by('follow')).toEqual([45])
  expect(by('reset later')).toEqual([63])
  expect(by('reset')).toEqual([46, 48, 62, 64, 95, 109, 119, 120, 140, 143, 158])
  expect(by('links')).toEqual([74, 144, 145, 146, 147, 148, 149, 150])
  expect(by('reboot')).toEqual([79])
  expect(by('watch')).toEqual([92])
  expect(by('told')).toEqual([154])
  expect(xidInfo(999)).toBeUndefined()
})
