import { type ChildProcessWithoutNullStreams, execFile, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { kubeconfigFor } from './kubeconfig.ts'
import { startTestApi, type TestApi, token } from './test-api.ts'

const hasKubectl = isThere()
if (!hasKubectl) console.warn('kubectl is not on the path: its tests are skipped')

let at: TestApi
let dir: string
let logLines: AsyncIterable<string>

const job = (workers: number, more = '') => `apiVersion: millwright.dev/v1alpha1
kind: TrainingJob
metadata: {name: train, labels: {team: blue}}
spec:
  suspend: true
  workers: ${workers}
  command: [python, train.py]
${more}`

const podWith = (env: string) => `apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers:
    - {name: main, command: [sleep, "1"], env: [${env}]}
    - {name: side, command: [sleep, "2"]}
`

describe.skipIf(!hasKubectl)('stock kubectl', () => {
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'millwright-kubectl-'))
    at = await startTestApi({
      ports: {
        logs: async function* () {
          for await (const line of logLines) yield Buffer.from(`${line}\n`)
        },
      },
    })
    writeFileSync(join(dir, 'kubeconfig'), kubeconfigFor({ server: at.api.url, token }))
  })
  afterAll(async () => {
    await at?.close()
    rmSync(dir, { recursive: true, force: true })
  })

  it('learns what is served', async () => {
    expect(await kubectl('version')).toContain('Server Version: v1.32.0-millwright')
    const resources = await kubectl('api-resources')
    expect(resources).toMatch(/trainingjobs +job,jobs,tj +millwright.dev\/v1alpha1 +true +TrainingJob/)
    expect(resources).toMatch(/pods +po +v1 +true +Pod/)
    const explained = await kubectl('explain', 'trainingjob.spec.checkpoint')
    expect(explained).toContain('Committed checkpoints kept.')
    expect(await kubectl('auth', 'can-i', 'create', 'pods')).toBe('yes\n')
  })

  it('applies, twice, with a change, and is told what is wrong with a file', async () => {
    expect(await apply(job(2))).toBe('trainingjob.millwright.dev/train created\n')
    expect(await apply(job(2))).toBe('trainingjob.millwright.dev/train unchanged\n')
    expect(await kubectlWith(job(3), 'diff', '-f', '-').catch((error) => error.stdout)).toContain('+  workers: 3')
    expect(await apply(job(3))).toBe('trainingjob.millwright.dev/train configured\n')
    expect(await kubectl('get', 'job', 'train', '-o', 'jsonpath={.spec.workers}')).toBe('3')
    await expect(apply(job(3, '  prioritty: 1\n'))).rejects.toThrow(
      /spec.prioritty: unknown field.*did you mean "priority"/,
    )
    expect(await kubectlWith(job(3), 'apply', '--dry-run=server', '-f', '-')).toContain('unchanged (server dry run)')
  })

  it('gets tables, YAML and names', async () => {
    expect(await kubectl('get', 'jobs')).toMatch(
      /^NAME +PHASE +WORKERS +STEP +LOSS +RESTARTS +CHECKPOINT +AGE\ntrain +Pending +3/,
    )
    expect(await kubectl('get', 'tj', 'train', '-o', 'yaml')).toContain('kind: TrainingJob\n')
    expect(await kubectl('get', 'trainingjobs', '-A', '-l', 'team=blue', '-o', 'name')).toBe(
      'trainingjob.millwright.dev/train\n',
    )
    expect(await kubectl('get', 'all')).toContain('trainingjob.millwright.dev/train')
    await expect(kubectl('get', 'job', 'nothing')).rejects.toThrow('trainingjobs.millwright.dev "nothing" not found')
  })

  it('describes, with the events of that object alone', async () => {
    const made = await at.client.get('TrainingJob', { name: 'train' })
    for (const [name, uid] of [
      ['mine', made?.metadata.uid ?? ''],
      ['other', 'another'],
    ] as const) {
      await at.client.create('Event', {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name, namespace: 'default' },
        involvedObject: {
          apiVersion: 'millwright.dev/v1alpha1',
          kind: 'TrainingJob',
          name: 'train',
          namespace: 'default',
          uid,
        },
        type: 'Normal',
        reason: 'Seated',
        message: `this one is ${name}`,
        source: { component: 'scheduling' },
        count: 1,
      })
    }
    const described = await kubectl('describe', 'job', 'train')
    expect(described).toContain('Workers:')
    expect(described).toMatch(/Normal +Seated .*this one is mine/)
    expect(described).not.toContain('this one is other')
    expect(await kubectl('events', '--for', 'trainingjob/train')).toContain('this one is')
  })

  it('scales, labels, patches and waits', async () => {
    expect(await kubectl('scale', 'job/train', '--replicas=4')).toContain('scaled')
    expect((await at.client.get('TrainingJob', { name: 'train' }))?.spec.workers).toBe(4)
    await kubectl('label', 'job', 'train', 'stage=two')
    await kubectl('patch', 'job', 'train', '--type=merge', '-p', '{"spec":{"priority":5}}')
    const waits = start('wait', '--for=condition=Complete', 'job/train', '--timeout=30s')
    const status = { phase: 'Succeeded' as const, conditions: [{ type: 'Complete', status: 'True' as const }] }
    await at.client.patch('TrainingJob', { name: 'train' }, { status }, { status: true })
    expect(await waits.output).toContain('condition met')
    expect(await kubectl('wait', '--for=jsonpath={.status.phase}=Succeeded', 'job/train', '--timeout=5s')).toContain(
      'condition met',
    )
    expect((await at.client.get('TrainingJob', { name: 'train' }))?.metadata.labels).toEqual({
      team: 'blue',
      stage: 'two',
    })
  })

  it('watches', async () => {
    const watch = start('get', 'jobs', '-w')
    await watch.heard('train')
    await at.client.patch('TrainingJob', { name: 'train' }, { status: { step: 77 } }, { status: true })
    await watch.heard(/train +Succeeded .* 77 /)
    watch.child.kill('SIGINT')
    await watch.output
  })

  it("merges core kinds' lists by key, as it does everywhere", async () => {
    await apply(podWith('{name: A, value: "1"}, {name: B, value: "2"}'))
    await apply(podWith('{name: C, value: "3"}, {name: B, value: "2"}'))
    expect(await apply(podWith('{name: C, value: "3"}, {name: B, value: "2"}'))).toBe('pod/p unchanged\n')
    const pod = await at.client.get('Pod', { name: 'p' })
    expect(pod?.spec.containers.map((one) => one.name)).toEqual(['main', 'side'])
    expect(pod?.spec.containers[0]?.env).toEqual([
      { name: 'C', value: '3' },
      { name: 'B', value: '2' },
    ])
    expect(await kubectl('describe', 'pod', 'p')).toMatch(/C: +3/)
    expect(await kubectl('get', 'pods', '-o', 'wide')).toMatch(/^NAME +READY +STATUS +RESTARTS +AGE +NODE +IP/)
  })

  it('follows logs', async () => {
    let next: ((line: string | undefined) => void) | undefined
    logLines = (async function* () {
      yield 'step 1'
      for (;;) {
        const line = await new Promise<string | undefined>((resolve) => {
          next = resolve
        })
        if (line === undefined) return
        yield line
      }
    })()
    const logs = start('logs', '-f', 'p', '-c', 'main')
    await logs.heard('step 1')
    next?.('step 2')
    await logs.heard('step 2')
    next?.(undefined)
    expect(await logs.output).toBe('step 1\nstep 2\n')
  })

  it('makes secrets and namespaces, though it says those in protobuf', async () => {
    await kubectl('create', 'secret', 'generic', 'key', '--from-literal=token=abc')
    expect((await at.client.get('Secret', { name: 'key' }))?.data).toEqual({ token: 'YWJj' })
    await kubectl('create', 'namespace', 'team')
    await kubectlWith(job(1), 'apply', '-n', 'team', '-f', '-')
    expect(await kubectl('get', 'ns', '-o', 'name')).toBe('namespace/default\nnamespace/team\n')
    await expect(kubectlWith(job(1), 'apply', '-n', 'tema', '-f', '-')).rejects.toThrow(/namespaces "tema" not found/)
    await expect(kubectl('delete', 'ns', 'default')).rejects.toThrow(/Forbidden.*may not be deleted/)
  })

  it('is told of what is not served as everywhere, and of a pod that nobody will start', async () => {
    await expect(kubectl('create', 'configmap', 'x', '--from-literal=a=b')).rejects.toThrow(
      'the server could not find the requested resource',
    )
    const run = start('run', 'bare', '--image=alpine', '--', 'sleep', '9')
    let warned = ''
    run.child.stderr.on('data', (chunk) => {
      warned += chunk
    })
    expect(await run.output).toBe('pod/bare created\n')
    expect(warned).toMatch(/^Warning: no gang owns this pod, so nothing will ever start it here; use a TrainingJob/)
    expect(await kubectl('describe', 'pod', 'bare')).toMatch(/Warning +NoGang .*no gang owns this pod/)
    await kubectl('delete', 'pod', 'bare')
  })

  it('cordons a node', async () => {
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' }, spec: {} }
    await at.client.create('Node', node)
    await kubectl('cordon', 'n')
    expect((await at.client.get('Node', { name: 'n' }))?.spec?.unschedulable).toBe(true)
  })

  it('drains a node: cordons it, evicts its pods and waits until they are gone', async () => {
    await at.client.create('Node', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'leaving' }, spec: {} })
    for (const name of ['d-0', 'd-1']) {
      const spec = { nodeName: 'leaving', containers: [{ name: 'main', command: ['sleep', '9'] }] }
      await at.client.create('Pod', { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default' }, spec })
    }
    const drain = ['drain', 'leaving', '--ignore-daemonsets', '--force', '--timeout=30s']
    expect(await kubectl(...drain, '--dry-run=server')).toContain('drained (server dry run)')
    expect((await at.client.get('Pod', { name: 'd-0' }))?.metadata.deletionTimestamp).toBeUndefined()
    // What the node's agent does: a pod that is asked to go ends, and is taken away.
    const stop = at.store.watch(
      'Pod',
      { from: '0' },
      {
        event: ({ object: { metadata } }) => {
          const { name, namespace, uid, deletionTimestamp } = metadata
          if (deletionTimestamp !== undefined)
            void at.store.delete('Pod', { name, namespace }, { uid, gracePeriodSeconds: 0 })
        },
        ended: () => {},
      },
    )
    expect(await kubectl(...drain)).toContain('node/leaving drained')
    stop()
    expect((await at.client.get('Node', { name: 'leaving' }))?.spec?.unschedulable).toBe(true)
    expect(await kubectl('get', 'pods', '-o', 'name')).toBe('pod/p\n')
  })

  it('deletes, and waits for the last finalizer', async () => {
    await at.client.patch('TrainingJob', { name: 'train' }, { metadata: { finalizers: ['millwright.dev/training'] } })
    const gone = start('delete', 'job', 'train', '--wait')
    await gone.heard('deleted')
    expect((await at.client.get('TrainingJob', { name: 'train' }))?.metadata.deletionTimestamp).toBeDefined()
    await at.client.patch('TrainingJob', { name: 'train' }, { metadata: { finalizers: null } })
    await gone.output
    expect(await at.client.get('TrainingJob', { name: 'train' })).toBeUndefined()
    expect(await kubectl('delete', 'pods', '--all')).toBe('pod "p" deleted\n')
  })

  it('is refused without the token', async () => {
    writeFileSync(
      join(dir, 'wrong'),
      kubeconfigFor({ server: at.api.url, token }).replace(`token: "${token}"`, 'token: "nope"'),
    )
    await expect(kubectl('--kubeconfig', join(dir, 'wrong'), 'get', 'pods')).rejects.toThrow(/Unauthorized|logged in/)
  })
})

function isThere(): boolean {
  try {
    execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const own = () => ['--kubeconfig', join(dir, 'kubeconfig'), '--cache-dir', join(dir, 'cache')]

function kubectl(...words: string[]): Promise<string> {
  return kubectlWith('', ...words)
}

const apply = (manifest: string) => kubectlWith(manifest, 'apply', '-f', '-')

/** Its output; what it says on the way to a failure is the message of the error. */
function kubectlWith(input: string, ...words: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile('kubectl', [...own(), ...words], (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else reject(Object.assign(new Error(stderr), { stdout }))
    })
    child.stdin?.end(input)
  })
}

/** One that goes on: what it has said so far can be waited for, and all of it once it ends. */
function start(...words: string[]) {
  const child: ChildProcessWithoutNullStreams = spawn('kubectl', [...own(), ...words])
  let said = ''
  const listeners = new Set<() => void>()
  child.stdout.on('data', (chunk) => {
    said += chunk
    for (const listener of listeners) listener()
  })
  const output = new Promise<string>((resolve) => child.once('close', () => resolve(said)))
  const heard = (wanted: string | RegExp) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (typeof wanted === 'string' ? !said.includes(wanted) : !wanted.test(said)) return
        listeners.delete(look)
        resolve()
      }
      listeners.add(look)
      look()
    })
  return { child, output, heard }
}
