import { writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { TestFactory } from './factory.fixture.ts'

const factory = new TestFactory()
beforeAll(() => factory.up())
afterAll(() => factory.remove())

function apply(...items: object[]): void {
  writeFileSync(join(factory.dir, 'list.json'), JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
  expect(factory.millwright('apply', '-f', 'list.json')).toMatchObject({ status: 0, stderr: '' })
}

it('describe shows the keys of a Secret and never a value, also not of what was applied', () => {
  const data = { token: Buffer.from('hunter2').toString('base64') }
  apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'keys' }, data })
  const { stdout } = factory.millwright('describe', 'secret', 'keys')
  expect(stdout).toContain('token: 7 bytes')
  expect(stdout).not.toContain(data.token)
  expect(JSON.parse(factory.millwright('get', 'secret', 'keys', '-o', 'json').stdout).data).toEqual(data)
})

it('describe paints its first line on a terminal, and lets no control character of others through', () => {
  apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'painted', annotations: { clear: '\u009b2J' } } })
  const asOnTerminal = 'process.stdout.isTTY=true;delete/**/process.env.NO_COLOR;process.env.TERM="xterm"'
  const { stdout } = factory.run(['--dir', factory.home, 'describe', 'secret', 'painted'], {
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(asOnTerminal)}`,
  })
  expect(stdout).toMatch(/^\u001b\[1mSecret\/painted\u001b\[0m {2}\(/)
  expect(stdout).toContain('clear: "\ufffd2J"')
})

it('get -A finds by its name what lies in another namespace, in every format', () => {
  apply(
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team' } },
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'far', namespace: 'team' } },
  )
  const get = (...words: string[]) => factory.millwright('get', 'secret', ...words)
  expect(get('far', '-A').stdout).toContain('team')
  expect(get('far', '-A', '-o', 'name')).toMatchObject({ status: 0, stdout: 'secret/far\n' })
  expect(JSON.parse(get('far', '-A', '-o', 'json').stdout).metadata.namespace).toBe('team')
  apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'far' } })
  expect(JSON.parse(get('far', '-A', '-o', 'json').stdout).items).toHaveLength(2)
  expect(get('farther', '-A', '-o', 'name')).toMatchObject({
    status: 3,
    stderr: expect.stringContaining('there is no Secret "farther" in any namespace'),
  })
})

it('events are listed as they happened', () => {
  const event = (name: string, minutesAgo: number) => ({
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name, namespace: 'default' },
    involvedObject: { kind: 'Node', name: 'n', namespace: 'default' },
    reason: name,
    lastTimestamp: new Date(Date.now() - minutesAgo * 60_000).toISOString(),
  })
  apply(event('a-third', 1), event('b-first', 3), event('c-second', 2))
  const reasons = factory.millwright('get', 'events').stdout.match(/a-third|b-first|c-second/g)
  expect(reasons).toEqual(['b-first', 'c-second', 'a-third'])
})

it('get knows services by their plural, and suggests only what is near', () => {
  expect(factory.millwright('get', 'services').stderr).toBe('No inferenceservices in namespace default.\n')
  expect(factory.millwright('get', 'nosuchkind')).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('no kind is called "nosuchkind". Kinds: pools, '),
  })
  expect(factory.millwright('get', 'trainingjbs').stderr).toContain('did you mean "trainingjobs"? Kinds: ')
  expect(factory.millwright('bogus').stderr).toMatch(/^error: unknown command 'bogus'\n/)
  expect(factory.millwright('bogus').stderr).not.toMatch(/did you mean/i)
  expect(factory.millwright('drill', 'rnu', 'x.yaml').stderr).toContain("unknown command 'rnu'; did you mean 'run'?\n")
  expect(factory.millwright('model', 'pul').stderr).toContain("unknown command 'pul'; did you mean 'pull'?\n")
  expect(factory.millwright('aply').stderr).toContain("unknown command 'aply'; did you mean 'apply'?\n")
})

it('doctor says which kubectl there is', () => {
  const kubectl = `#!/bin/sh
case "$*" in "version --client -o json") echo '{"clientVersion": {"gitVersion": "v1.99.0"}}';; *) exit 1;; esac
`
  writeFileSync(join(factory.dir, 'kubectl'), kubectl, { mode: 0o755 })
  const found = factory.run(['--dir', factory.home, 'doctor', '-o', 'json'], {
    PATH: `${factory.dir}${delimiter}${process.env['PATH']}`,
  })
  const detail = 'v1.99.0; kubectl works against the factory'
  expect(JSON.parse(found.stdout)).toContainEqual({ what: 'kubectl', state: 'ok', detail })
})
