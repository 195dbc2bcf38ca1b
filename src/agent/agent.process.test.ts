import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { annotation, label } from '../model/names.ts'
import { type Bench, isRunning, openBench, terminatedOf } from './fixture.ts'
import { podFolder } from './local/folders.ts'
import { readPodLog } from './local/logs.ts'

let bench: Bench
beforeAll(async () => {
  bench = await openBench({ ...process.env, MILLWRIGHT_TOKEN: 'not-for-pods' })
})
afterAll(() => bench.close())

const sh = (script: string): string[] => ['/bin/sh', '-c', script]
const logOf = async (name: string): Promise<string> => {
  const pod = await bench.pod(name)
  if (pod === undefined) throw new Error(`no pod ${name}`)
  const parts: Uint8Array[] = []
  for await (const part of readPodLog(join(bench.dir, 'agent'), pod)) parts.push(part)
  return Buffer.concat(parts).toString()
}

describe('the node', () => {
  it('is registered with what it offers, Ready', async () => {
    const node = await bench.store.get('Node', { name: 'n0' })
    expect(node?.status?.capacity).toMatchObject({ cpu: '2', 'millwright.dev/cpu': '4' })
    expect(node?.metadata.labels).toMatchObject({ [label.pool]: 'local', [label.accelerator]: 'cpu' })
    expect(node?.metadata.annotations?.[annotation.portRange]).toBe('20000-20999')
    expect(node?.status?.conditions?.find((each) => each.type === 'Ready')?.status).toBe('True')
  })
})

describe('a pod that ends by itself', () => {
  it('succeeds with exit code 0, and its report says so', async () => {
    const { metadata } = await bench.run(sh('echo out; echo err >&2'))
    const pod = await bench.ended(metadata.name)
    expect(pod.status?.phase).toBe('Succeeded')
    expect(terminatedOf(pod)).toMatchObject({ exitCode: 0, reason: 'Completed' })
    expect(await logOf(metadata.name)).toBe('out\nerr\n')
    const report = await bench.report(metadata.name)
    expect(report?.status?.ended).toMatchObject({ exitCode: 0, reason: 'Completed', byAgent: false })
    expect(report?.metadata.ownerReferences?.[0]).toMatchObject({ kind: 'Pod', uid: metadata.uid })
  })

  it('fails with its exit code and the last lines of its log', async () => {
    const { metadata } = await bench.run(sh('echo the reason; exit 7'))
    const pod = await bench.ended(metadata.name)
    expect(pod.status?.phase).toBe('Failed')
    expect(terminatedOf(pod)).toMatchObject({ exitCode: 7, reason: 'Error', message: 'exit code 7' })
    expect((await bench.report(metadata.name))?.status).toMatchObject({
      ended: { exitCode: 7 },
      logTail: 'the reason\n',
    })
  })

  it.each([
    ['SIGKILL', 137, 9],
    ['SIGSEGV', 139, 11],
    ['SIGTERM', 143, 15],
  ])('ended by %s: the signal is told', async (signal, exitCode, number) => {
    const { metadata } = await bench.run(sh(`kill -${signal.slice(3)} $$`))
    const pod = await bench.ended(metadata.name)
    expect(terminatedOf(pod)).toMatchObject({ exitCode, signal: number })
    expect((await bench.report(metadata.name))?.status?.ended).toMatchObject({ signal, byAgent: false })
  })

  it('SIGKILL of the pid in the report is seen at once', async () => {
    const { metadata } = await bench.run(['sleep', '600'])
    const report = await bench.until(async () => {
      const found = await bench.report(metadata.name)
      return found?.status?.pid === undefined ? undefined : found
    })
    process.kill(report.status?.pid ?? 0, 'SIGKILL')
    expect(terminatedOf(await bench.ended(metadata.name))).toMatchObject({ exitCode: 137, signal: 9, reason: 'Error' })
  })
})

describe('a pod that cannot start', () => {
  it.each([
    [['no-such-program'], 'command not found: no-such-program'],
    [['/no/such/file'], 'there is no file /no/such/file'],
    [['/etc/passwd'], 'is not executable'],
    [['/etc'], 'is a folder'],
    [[], 'names no command'],
  ])('command %j says why', async (command, message) => {
    const { metadata } = await bench.run(command)
    const pod = await bench.ended(metadata.name)
    expect(pod.status?.phase).toBe('Failed')
    expect(terminatedOf(pod)?.reason).toBe('StartError')
    expect(terminatedOf(pod)?.message).toContain(message)
    expect((await bench.report(metadata.name))?.status?.ended?.reason).toBe('StartError')
  })

  it('a working directory that is not there is named', async () => {
    const { metadata } = await bench.run(['true'], { container: { workingDir: '/no/such/folder' } })
    expect(terminatedOf(await bench.ended(metadata.name))?.message).toContain('/no/such/folder does not exist')
  })

  it.each([
    ['two containers', { containers: [{ name: 'a', command: ['true'] }, { name: 'b' }] }, '2 containers (a, b)'],
    ['an init container', { initContainers: [{ name: 'a' }] }, 'init containers'],
    [
      'a volume of another kind',
      {
        volumes: [{ name: 'v', nfs: {} }],
        containers: [{ name: 'a', command: ['true'], volumeMounts: [{ name: 'v', mountPath: '/v' }] }],
      },
      'is a nfs',
    ],
    [
      'a host path that the pool does not permit',
      {
        volumes: [{ name: 'v', hostPath: { path: '/etc' } }],
        containers: [{ name: 'a', command: ['true'], volumeMounts: [{ name: 'v', mountPath: '/etc' }] }],
      },
      'hostPaths',
    ],
  ])('%s is refused by name', async (_what, spec, message) => {
    const { metadata } = await bench.run(['true'], { spec })
    const pod = await bench.ended(metadata.name)
    expect(pod.status).toMatchObject({ phase: 'Failed', reason: 'Unsupported' })
    expect(pod.status?.message).toContain(message)
  })
})

describe('the environment', () => {
  it('holds references, expansions and secrets, and nothing of ours', async () => {
    await bench.store.create('Secret', {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'keys', namespace: 'default' },
      data: { token: Buffer.from('hüsh').toString('base64') },
    })
    const { metadata } = await bench.run(sh('env; echo arg=$0'), {
      annotations: { [annotation.rank]: '3', [annotation.ports]: '20007,20008' },
      container: {
        args: ['$(PORT)-$(NOPE)-$$(PORT)'],
        env: [
          { name: 'RANK', valueFrom: { fieldRef: { fieldPath: `metadata.annotations['${annotation.rank}']` } } },
          { name: 'PORT', value: '20007' },
          { name: 'URL', value: 'http://x:$(PORT)/$(RANK)' },
          { name: 'ME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
          { name: 'UNSET', valueFrom: { fieldRef: { fieldPath: "metadata.labels['none']" } } },
          { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'keys', key: 'token' } } },
          { name: 'MAYBE', valueFrom: { secretKeyRef: { name: 'keys', key: 'none', optional: true } } },
        ],
      },
    })
    await bench.ended(metadata.name)
    const lines = (await logOf(metadata.name)).split('\n')
    expect(lines).toEqual(
      expect.arrayContaining([
        'RANK=3',
        'URL=http://x:20007/3',
        `ME=${metadata.name}`,
        'UNSET=',
        'TOKEN=hüsh',
        'arg=20007-$(NOPE)-$(PORT)',
      ]),
    )
    const text = lines.join('\n')
    expect(text).not.toContain('not-for-pods')
    expect(text).not.toContain('MAYBE=')
    expect(text).not.toContain('_mw')
    for (const name of ['CHECKPOINT_DIR', 'OUTPUT_DIR', 'PROGRESS', 'CONTROL'])
      expect(text).toContain(`MILLWRIGHT_${name}=/`)
    const everything = JSON.stringify([
      await bench.store.list('Pod'),
      await bench.store.list('Report'),
      await bench.store.list('Event'),
    ])
    expect(everything).not.toContain('hüsh')
  })

  it.each([
    ['LD_PRELOAD', { value: '/x.so' }, 'LD_PRELOAD is not allowed'],
    ['NODE_OPTIONS', { value: '-r x' }, 'NODE_OPTIONS is not allowed'],
    ['BASH_FUNC_ls', { value: '()' }, 'not allowed'],
    ['A B', { value: '1' }, 'not the name'],
    ['GONE', { valueFrom: { secretKeyRef: { name: 'none', key: 'k' } } }, 'key "k" of Secret "none"'],
  ])('%s is refused', async (name, entry, message) => {
    const { metadata } = await bench.run(['true'], { container: { env: [{ name, ...entry }] } })
    expect(terminatedOf(await bench.ended(metadata.name))?.message).toContain(message)
  })

  it('a secret does not reach the process list', async () => {
    const { metadata } = await bench.run(sh('true $(TOKEN)'), {
      container: { env: [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'keys', key: 'token' } } }] },
    })
    expect(terminatedOf(await bench.ended(metadata.name))?.message).toContain('process list')
  })

  it('a pool may allow a name', async () => {
    await bench.store.create('Pool', {
      apiVersion: 'millwright.dev/v1alpha1',
      kind: 'Pool',
      metadata: { name: 'local' },
      spec: {
        accelerator: 'cpu',
        minNodes: 0,
        maxNodes: 1,
        capacityType: 'reserved',
        provisioningSeconds: 0,
        allowEnv: ['NODE_OPTIONS'],
        hostPaths: [],
      },
    })
    const { metadata } = await bench.run(sh('echo $NODE_OPTIONS'), {
      container: { env: [{ name: 'NODE_OPTIONS', value: '--no-warnings' }] },
    })
    await bench.ended(metadata.name)
    expect(await logOf(metadata.name)).toBe('--no-warnings\n')
  })
})

describe('deletion', () => {
  const waitForLine = (name: string, text: string) => bench.until(async () => (await logOf(name)).includes(text))

  it('SIGTERM first: a job that heeds it ends well, and the pod is gone', async () => {
    const { metadata } = await bench.run(sh('trap "echo bye; exit 0" TERM; echo up; while :; do sleep 0.05; done'))
    await waitForLine(metadata.name, 'up')
    expect(await bench.store.delete('Pod', metadata)).toBe('deleting')
    await bench.until(async () => (await bench.pod(metadata.name)) === undefined)
  })

  it('after the grace the whole tree is killed', async () => {
    const script = 'trap "" TERM; (trap "" TERM; sleep 600) & echo $!; echo $$; wait'
    const { metadata } = await bench.run(sh(script))
    const pids = await bench.until(async () => {
      const lines = (await logOf(metadata.name)).trim().split('\n').filter(Boolean).map(Number)
      return lines.length === 2 ? lines : undefined
    })
    await bench.store.delete('Pod', metadata, { gracePeriodSeconds: 1 })
    await bench.until(async () => (await bench.pod(metadata.name)) === undefined)
    for (const pid of pids) expect(isRunning(pid)).toBe(false)
  })

  it('without grace it is killed at once and its files go', async () => {
    const { metadata } = await bench.run(sh('trap "" TERM; echo $$; sleep 600'))
    const pid = await bench.until(async () => Number((await logOf(metadata.name)).trim()) || undefined)
    expect(await bench.store.delete('Pod', metadata, { gracePeriodSeconds: 0 })).toBe('deleted')
    await bench.until(async () => !isRunning(pid))
    await bench.until(
      async () =>
        (await readFile(join(bench.dir, 'agent/pods', metadata.uid ?? '', 'claim')).catch(() => 'gone')) === 'gone',
    )
  })

  it('children that outlive the command end with it', async () => {
    const { metadata } = await bench.run(sh('sleep 600 & echo $!'))
    await bench.ended(metadata.name)
    const pid = Number((await logOf(metadata.name)).trim())
    await bench.until(async () => !isRunning(pid))
  })
})

describe('probes', () => {
  it('a service without a probe is ready once its port accepts', async () => {
    const server = createServer((_, response) => response.end())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const labels = { [label.service]: 's' }
    const open = await bench.run(['sleep', '600'], { labels, annotations: { [annotation.ports]: String(port) } })
    const shut = await bench.run(['sleep', '600'], { labels, annotations: { [annotation.ports]: '1' } })
    const isReady = async (name: string) =>
      (await bench.pod(name))?.status?.conditions?.find((each) => each.type === 'Ready')?.status === 'True'
    await bench.until(() => isReady(open.metadata.name))
    expect(await isReady(shut.metadata.name)).toBe(false)
    for (const pod of [open, shut]) await bench.store.delete('Pod', pod.metadata, { gracePeriodSeconds: 0 })
    server.close()
  })

  it('readiness follows HTTP, and liveness ends the pod with its reason', async () => {
    let status = 503
    const server = createServer(({ url }, response) =>
      response.writeHead(url === '/live' && status === 503 ? 200 : status).end(),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const probe = { httpGet: { path: '/health', port: 'http' }, periodSeconds: 0.05, failureThreshold: 2 }
    const { metadata } = await bench.run(['sleep', '600'], {
      annotations: { [annotation.ports]: String(port) },
      container: {
        ports: [{ name: 'http', containerPort: 8080 }],
        readinessProbe: probe,
        livenessProbe: { ...probe, httpGet: { path: '/live', port: 8080 }, initialDelaySeconds: 1 },
      },
    })
    const readiness = async () =>
      (await bench.pod(metadata.name))?.status?.conditions?.find((each) => each.type === 'Ready')
    await bench.until(async () => (await readiness())?.message?.includes('answered 503'))
    status = 200
    await bench.until(async () => (await readiness())?.status === 'True')
    status = 500
    const pod = await bench.ended(metadata.name)
    expect(pod.status).toMatchObject({ phase: 'Failed', reason: 'Unhealthy' })
    expect(pod.status?.message).toContain('GET /live')
    server.close()
  })

  it.each([
    ['a program without a name', { exec: { command: [''] } }],
    ['a host that is none', { httpGet: { path: '/', port: 1, host: 'a\0b' } }],
    ['a path that is no text', { httpGet: { path: '/\ud800', port: 1 } }],
  ])('one that cannot be made fails and says so: %s', async (_, probe) => {
    const { metadata } = await bench.run(['sleep', '600'], { container: { readinessProbe: probe } })
    await bench.until(async () =>
      (await bench.pod(metadata.name))?.status?.conditions?.find((each) => each.message?.includes('cannot be probed')),
    )
    await bench.store.delete('Pod', metadata, { gracePeriodSeconds: 0 })
  })

  it('a command decides, with the pod’s environment', async () => {
    const flag = join(bench.dir, 'flag')
    const { metadata } = await bench.run(['sleep', '600'], {
      container: {
        env: [{ name: 'FLAG', value: flag }],
        readinessProbe: { exec: { command: sh('test -e $FLAG') }, periodSeconds: 0.05 },
      },
    })
    await bench.until(async () => (await bench.pod(metadata.name))?.status?.phase === 'Running')
    await mkdir(bench.dir, { recursive: true })
    await writeFile(flag, '')
    await bench.until(async () => (await bench.pod(metadata.name))?.status?.containerStatuses?.[0]?.ready === true)
    await bench.store.delete('Pod', metadata, { gracePeriodSeconds: 0 })
  })
})

describe('a namespace that is being deleted', () => {
  it('takes no report, and its pods end and go all the same', async () => {
    const metadata = { name: 'late', namespace: 'tenant', labels: { [label.attempt]: '1' } }
    const made = await bench.store.create('Pod', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      spec: { nodeName: 'n0', containers: [{ name: 'main', command: ['sleep', '600'] }] },
    })
    await bench.store.delete('Namespace', { name: 'tenant' }) // before its agent has said a word of it
    const uid = made === 'exists' ? '' : (made.metadata.uid ?? '')
    const claim = podFolder(join(bench.dir, 'agent'), uid).claim
    await bench.until(async () => existsSync(claim))
    await bench.store.delete('Pod', metadata, { gracePeriodSeconds: 1 })
    await bench.until(async () => (await bench.store.get('Pod', metadata)) === undefined)
    expect((await bench.store.list('Report', { namespace: 'tenant' })).items).toEqual([])
  })
})
