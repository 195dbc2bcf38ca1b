import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { TestFactory } from './factory.fixture.ts'

const factory = new TestFactory()
beforeAll(() => factory.up())
afterAll(() => factory.remove())

/** A job whose worker needs `seconds` after SIGTERM, once it runs. */
async function slowJob(name: string, seconds: number): Promise<void> {
  const script = `trap 'sleep ${seconds}; exit 0' TERM; echo ready; while :; do sleep 0.1; done`
  writeFileSync(
    join(factory.dir, `${name}.json`),
    JSON.stringify({
      apiVersion: 'millwright.dev/v1alpha1',
      kind: 'TrainingJob',
      metadata: { name },
      spec: { command: ['sh', '-c', script] },
    }),
  )
  expect(factory.millwright('apply', '-f', `${name}.json`)).toMatchObject({ status: 0 })
  await vi.waitUntil(() => factory.millwright('logs', name).stdout === 'ready\n', 30_000)
}

it('delete returns when the last pod has ended', async () => {
  await slowJob('slow', 1)
  expect(factory.millwright('delete', 'job', 'slow')).toMatchObject({ status: 0, stdout: 'trainingjob/slow deleted\n' })
  expect(factory.millwright('get', 'pods,gangs', '-o', 'name').stdout).toBe('')
})

it('delete --no-wait returns before', async () => {
  await slowJob('later', 2)
  expect(factory.millwright('delete', 'job', 'later', '--no-wait')).toMatchObject({ status: 0 })
  expect(factory.millwright('get', 'pods', '-o', 'name').stdout).toBe('pod/later-worker-0-1\n')
})

it('Ctrl-C of delete leaves it to go on', async () => {
  await slowJob('left', 2)
  const command = factory.begin('delete', 'job', 'left')
  const isLeaving = () => factory.millwright('get', 'pod', 'left-worker-0-1', '-o', 'json').stdout.includes('deletionT')
  await vi.waitUntil(isLeaving, 30_000)
  command.signal('SIGINT')
  expect(await command.ended).toBe(130)
  expect(command.stderr).toContain('trainingjob/left: the deletion goes on without this command.')
  await vi.waitUntil(() => factory.millwright('get', 'pods', '-o', 'name').stdout === '', 30_000)
})

it('delete of several deletes those that there are and names the others', async () => {
  await slowJob('one', 0)
  expect(factory.millwright('delete', 'job', 'none', 'one')).toMatchObject({
    status: 3,
    stdout: 'trainingjob/one deleted\n',
    stderr: 'millwright: there is no TrainingJob "none".\n',
  })
})

it('delete of a queue in use says who is in it and goes when they have ended', async () => {
  const queue = { apiVersion: 'millwright.dev/v1alpha1', kind: 'Queue', metadata: { name: 'night' } }
  writeFileSync(join(factory.dir, 'night.json'), JSON.stringify({ ...queue, spec: { namespaces: ['*'] } }))
  expect(factory.millwright('apply', '-f', 'night.json')).toMatchObject({ status: 0 })
  const job = ['--name', 'owl', '--queue', 'night', '--detach', '--', 'sleep', '600']
  expect(factory.millwright('run', ...job)).toMatchObject({ status: 0 })
  const command = factory.begin('delete', 'queue', 'night')
  await vi.waitUntil(() => command.stderr.includes('TrainingJob'), 30_000)
  expect(command.stderr).toContain(
    'waiting for queue/night (it goes when these have ended or name another queue: TrainingJob default/owl) to end',
  )
  expect(factory.millwright('delete', 'job', 'owl')).toMatchObject({ status: 0 })
  expect(await command.ended).toBe(0)
  expect(command.stdout).toBe('queue/night deleted\n')
})

it('delete of a node or a pool with work on it asks first', async () => {
  expect(factory.millwright('run', '--name', 'held', '--detach', '--', 'sleep', '600')).toMatchObject({ status: 0 })
  await vi.waitUntil(() => factory.millwright('get', 'job', 'held').stdout.includes('Running'), 30_000)
  const node = factory.millwright('get', 'nodes', '-o', 'name').stdout.trim().replace('node/', '')
  const refused =
    'default/held-worker-0-1 runs on it\nmillwright: this would destroy running work; say --yes to go on.\n'
  expect(factory.millwright('delete', 'node', node)).toMatchObject({ status: 1, stderr: `Node/${node}: ${refused}` })
  expect(factory.millwright('delete', 'pool', 'local')).toMatchObject({ status: 1, stderr: `Pool/local: ${refused}` })
  expect(factory.millwright('get', 'pools,nodes', '-o', 'name').stdout.trim().split('\n')).toHaveLength(2)
  expect(factory.millwright('delete', 'pool', 'local', '--yes')).toMatchObject({ status: 0 })
  expect(factory.millwright('delete', 'job', 'held')).toMatchObject({ status: 0 })
  expect(factory.millwright('delete', 'node', node)).toMatchObject({ status: 0 })
})
