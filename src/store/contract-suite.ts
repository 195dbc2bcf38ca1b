import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { OperatingError } from '../base/errors.ts'
import { createManualClock, type ManualClock } from '../base/manual-clock.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { Pod } from '../model/kinds/kubernetes.ts'
import type { TrainingJob } from '../model/kinds/training-job.ts'
import type { KindMap, KindName } from '../model/registry.ts'
import type { Store, WatchEvent } from './contract.ts'
import { createLeaseHolder } from './lease.ts'

export interface SuiteOptions {
  clock: ManualClock
  history?: number
  fencing?: boolean
  events?: { max: number; ageMsMax: number }
}
export type OpenStore = (options: SuiteOptions) => Promise<Store & { close(): Promise<void> }>

/** What every embedded store does. Each test gets a store of its own. */
export function storeContract(name: string, open: OpenStore): void {
  describe(`the store contract, ${name}`, () => {
    let clock: ManualClock
    let store: Store & { close(): Promise<void> }
    const opened: { close(): Promise<void> }[] = []

    async function openWith(options: Omit<SuiteOptions, 'clock'>) {
      const other = await open({ clock, ...options })
      opened.push(other)
      return other
    }
    beforeEach(async () => {
      clock = createManualClock()
      store = await openWith({})
    })
    afterEach(async () => {
      for (const each of opened.splice(0)) await each.close()
    })

    const made = async <K extends KindName>(kind: K, object: KindMap[K], into = store): Promise<KindMap[K]> =>
      found(await into.create(kind, object))

    describe('create', () => {
      test('fills in uid, resourceVersion, creationTimestamp and generation 1', async () => {
        const job = await made('TrainingJob', jobNamed('a'))
        expect(job.metadata).toEqual({
          name: 'a',
          namespace: 'default',
          uid: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
          resourceVersion: expect.any(String),
          creationTimestamp: '2023-11-14T22:13:20Z',
          generation: 1,
        })
        expect(await store.get('TrainingJob', ref('a'))).toBe(job)
      })

      test('ignores what only the store may set', async () => {
        const job = jobNamed('a')
        const given = { ...job.metadata, uid: 'mine', generation: 7, deletionTimestamp: '2020-01-01T00:00:00Z' }
        const { metadata } = await made('TrainingJob', { ...job, metadata: given })
        expect(metadata.uid).not.toBe('mine')
        expect(metadata.generation).toBe(1)
        expect(metadata.deletionTimestamp).toBeUndefined()
      })

      test('a name is taken within its kind and namespace only', async () => {
        await made('TrainingJob', jobNamed('a'))
        expect(await store.create('TrainingJob', jobNamed('a'))).toBe('exists')
        expect(await store.create('TrainingJob', jobNamed('a', 'other'))).not.toBe('exists')
        expect(await store.create('Pod', podNamed('a'))).not.toBe('exists')
      })

      test('of a kind with a status of its own drops status unless asked to keep it', async () => {
        const job = { ...jobNamed('a'), status: { conditions: [], step: 3 } }
        expect((await made('TrainingJob', job)).status).toBeUndefined()
        const kept = found(
          await store.create(
            'TrainingJob',
            { ...job, metadata: { name: 'b', namespace: 'default' } },
            { withStatus: true },
          ),
        )
        expect(kept.status?.step).toBe(3)
      })

      test('a new pod is pending', async () => {
        expect((await made('Pod', podNamed('a'))).status).toEqual({ phase: 'Pending' })
      })

      test('makes a name out of generateName', async () => {
        const metadata = { name: '', generateName: 'run-', namespace: 'default' }
        const one = await made('TrainingJob', { ...jobNamed('x'), metadata })
        const two = await made('TrainingJob', { ...jobNamed('x'), metadata })
        expect(one.metadata.name).toMatch(/^run-[a-z0-9]{5}$/)
        expect(two.metadata.name).not.toBe(one.metadata.name)
      })

      test('refuses what cannot be kept, saying what is wrong', async () => {
        await expect(store.create('TrainingJob', { ...jobNamed('a'), metadata: { name: 'a' } })).rejects.toThrow(
          /needs a namespace/,
        )
        await expect(
          store.create('Queue', { ...queueNamed('a'), metadata: { name: 'a', namespace: 'default' } }),
        ).rejects.toThrow(/takes no namespace/)
        await expect(store.create('TrainingJob', jobNamed('../etc'))).rejects.toThrow(/is no name/)
        await expect(store.create('TrainingJob', jobNamed(''))).rejects.toThrow(/name is missing/)
        const withVersion = { ...jobNamed('a').metadata, resourceVersion: '5' }
        await expect(store.create('TrainingJob', { ...jobNamed('a'), metadata: withVersion })).rejects.toThrow(
          /resourceVersion/,
        )
        const nan = { ...jobNamed('a'), spec: { ...jobNamed('a').spec, priority: Number.NaN } }
        await expect(store.create('TrainingJob', nan)).rejects.toMatchObject({
          code: 'invalid',
          message: /spec\.priority/,
        })
        expect((await store.list('TrainingJob')).items).toEqual([])
      })

      test('keeps its own frozen copy of what it was given', async () => {
        const mine = podNamed('a')
        const pod = await made('Pod', mine)
        mine.spec.containers[0] = { name: 'changed' }
        expect((await store.get('Pod', ref('a')))?.spec.containers[0]?.name).toBe('main')
        expect(() => Object.assign(pod.spec, { nodeName: 'x' })).toThrow(TypeError)
        expect(() => pod.spec.containers.push({ name: 'x' })).toThrow(TypeError)
      })

      test('the namespace comes into being with the first resource in it', async () => {
        await made('Pod', podNamed('a', 'tenant'))
        await made('Pod', podNamed('b', 'tenant'))
        const names = (await store.list('Namespace')).items.map((each) => [each.metadata.name, each.status?.phase])
        expect(names).toEqual([['tenant', 'Active']])
      })

      test('what is of something else brings no namespace into being', async () => {
        const owner = { apiVersion: 'millwright.dev/v1alpha1', kind: 'Gang', name: 'g', uid: 'u' }
        const owned = podNamed('a', 'tenant')
        const metadata = { ...owned.metadata, ownerReferences: [owner] }
        await expect(store.create('Pod', { ...owned, metadata })).rejects.toMatchObject({ code: 'not-found' })
        const event = { ...eventNamed('e'), metadata: { name: 'e', namespace: 'tenant' } }
        await expect(store.create('Event', event)).rejects.toMatchObject({ code: 'not-found' })
        expect((await store.list('Namespace')).items).toEqual([])
        await made('Pod', podNamed('b', 'tenant'))
        await made('Pod', { ...owned, metadata })
      })
    })

    describe('update', () => {
      test('raises the generation when spec changed, and only then', async () => {
        const job = await made('TrainingJob', jobNamed('a'))
        const next = found(await store.update('TrainingJob', { ...job, spec: { ...job.spec, suspend: true } }))
        expect(next.metadata.generation).toBe(2)
        expect(next.metadata.uid).toBe(job.metadata.uid)
        const labelled = found(
          await store.update('TrainingJob', { ...next, metadata: { ...next.metadata, labels: { a: 'b' } } }),
        )
        expect(labelled.metadata.generation).toBe(2)
        expect(labelled.metadata.resourceVersion).not.toBe(next.metadata.resourceVersion)
      })

      test('a stale write loses and changes nothing', async () => {
        const job = await made('TrainingJob', jobNamed('a'))
        const winner = found(await store.update('TrainingJob', { ...job, spec: { ...job.spec, priority: 1 } }))
        expect(await store.update('TrainingJob', { ...job, spec: { ...job.spec, priority: 2 } })).toBe('stale')
        expect(await store.get('TrainingJob', ref('a'))).toBe(winner)
      })

      test('of two at once exactly one wins', async () => {
        const job = await made('TrainingJob', jobNamed('a'))
        const answers = await Promise.all(
          [1, 2, 3, 4].map((priority) => store.update('TrainingJob', { ...job, spec: { ...job.spec, priority } })),
        )
        expect(answers.filter((answer) => answer === 'stale')).toHaveLength(3)
      })

      test('a resource made again under the name is another one', async () => {
        const job = await made('TrainingJob', jobNamed('a'))
        await store.delete('TrainingJob', ref('a'))
        expect(await store.update('TrainingJob', job)).toBe('missing')
        await made('TrainingJob', jobNamed('a'))
        expect(await store.update('TrainingJob', job)).toBe('stale')
      })

      test('needs the resourceVersion that it changes', async () => {
        await made('TrainingJob', jobNamed('a'))
        await expect(store.update('TrainingJob', jobNamed('a'))).rejects.toThrow(/must carry the resourceVersion/)
      })

      test('leaves status alone, and updateStatus leaves all else alone', async () => {
        const job = await made('TrainingJob', jobNamed('a'))
        const status = { conditions: [], step: 5 }
        const seen = found(
          await store.updateStatus('TrainingJob', { ...job, spec: { ...job.spec, priority: 9 }, status }),
        )
        expect(seen.status?.step).toBe(5)
        expect(seen.spec.priority).toBe(0)
        expect(seen.metadata.generation).toBe(1)
        const next = found(
          await store.update('TrainingJob', {
            ...seen,
            spec: { ...seen.spec, priority: 9 },
            status: { conditions: [], step: 6 },
          }),
        )
        expect(next.status?.step).toBe(5)
        expect(await store.updateStatus('TrainingJob', { ...job, status })).toBe('stale')
      })

      test('of a kind without a status of its own takes it all', async () => {
        const secret = await made('Secret', {
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { name: 'a', namespace: 'default' },
          data: { k: 'djE=' },
        })
        const next = found(await store.update('Secret', { ...secret, data: { k: 'djI=' } }))
        expect(next.data).toEqual({ k: 'djI=' })
        await expect(store.updateStatus('Secret', next)).rejects.toThrow(/no status of its own/)
      })

      test('that changes nothing writes nothing', async () => {
        const job = await made('TrainingJob', jobNamed('a'))
        expect(await store.update('TrainingJob', structuredClone(job))).toBe(job)
        expect((await store.list('TrainingJob')).resourceVersion).toBe(job.metadata.resourceVersion)
      })

      test('identity and times stay what the store made them', async () => {
        const job = await made('TrainingJob', jobNamed('a'))
        const metadata = {
          ...job.metadata,
          creationTimestamp: '1999-01-01T00:00:00Z',
          generation: 99,
          labels: { x: 'y' },
        }
        const next = found(await store.update('TrainingJob', { ...job, metadata }))
        expect(next.metadata).toMatchObject({ creationTimestamp: job.metadata.creationTimestamp, generation: 1 })
        expect(await store.update('TrainingJob', { ...next, metadata: { ...next.metadata, uid: 'other' } })).toBe(
          'stale',
        )
      })

      test("nobody but bind sets a pod's node", async () => {
        const pod = await made('Pod', podNamed('a'))
        await expect(store.update('Pod', { ...pod, spec: { ...pod.spec, nodeName: 'n' } })).rejects.toThrow(/binding/)
        await expect(store.patch('Pod', ref('a'), { spec: { nodeName: 'n' } })).rejects.toThrow(/binding/)
      })
    })

    describe('patch', () => {
      test('merges as RFC 7386 says', async () => {
        const job = jobNamed('a')
        await made('TrainingJob', { ...job, metadata: { ...job.metadata, labels: { keep: '1', drop: '1' } } })
        const next = found(
          await store.patch('TrainingJob', ref('a'), {
            metadata: { labels: { drop: null, add: '2' } },
            spec: { command: ['x'] },
          }),
        )
        expect(next.metadata.labels).toEqual({ keep: '1', add: '2' })
        expect(next.spec.command).toEqual(['x'])
        expect(next.metadata.generation).toBe(2)
        expect(next.spec.queue).toBe('default')
      })

      test('touches status through its own door only', async () => {
        await made('Pod', podNamed('a'))
        expect(found(await store.patch('Pod', ref('a'), { status: { phase: 'Running' } })).status?.phase).toBe(
          'Pending',
        )
        const patch = { status: { phase: 'Running' }, metadata: { labels: { x: 'y' } } }
        const pod = found(await store.patch('Pod', ref('a'), patch, { status: true }))
        expect(pod.status?.phase).toBe('Running')
        expect(pod.metadata.labels).toBeUndefined()
      })

      test('with a resourceVersion or uid is a compare-and-set', async () => {
        const job = await made('TrainingJob', jobNamed('a'))
        const { uid, resourceVersion } = job.metadata
        const patch = { spec: { priority: 1 } }
        expect(await store.patch('TrainingJob', ref('a'), patch, { uid: 'other' })).toBe('stale')
        expect(await store.patch('TrainingJob', ref('a'), { ...patch, metadata: { resourceVersion: '1234567' } })).toBe(
          'stale',
        )
        expect(await store.patch('TrainingJob', ref('a'), patch, { uid, resourceVersion })).toMatchObject({
          spec: { priority: 1 },
        })
        expect(await store.patch('TrainingJob', ref('a'), { spec: { priority: 2 } }, { resourceVersion })).toBe('stale')
        expect(await store.patch('TrainingJob', ref('b'), patch)).toBe('missing')
      })

      test('that changes nothing writes nothing', async () => {
        const job = await made('TrainingJob', jobNamed('a'))
        expect(
          await store.patch('TrainingJob', ref('a'), { spec: { priority: 0 }, metadata: { labels: { x: null } } }),
        ).toBe(job)
      })

      test('a field called __proto__ is refused', async () => {
        await made('TrainingJob', jobNamed('a'))
        const hostile: object = JSON.parse('{"metadata":{"labels":{"__proto__":{"polluted":"yes"}}}}')
        await expect(store.patch('TrainingJob', ref('a'), hostile)).rejects.toMatchObject({ code: 'invalid' })
      })
    })

    describe('delete', () => {
      test('without finalizers it is gone', async () => {
        const job = await made('TrainingJob', jobNamed('a'))
        expect(await store.delete('TrainingJob', ref('a'), { uid: 'other' })).toBe('stale')
        expect(await store.delete('TrainingJob', ref('a'), { resourceVersion: '1234567' })).toBe('stale')
        expect(await store.delete('TrainingJob', ref('a'), { uid: job.metadata.uid })).toBe('deleted')
        expect(await store.get('TrainingJob', ref('a'))).toBeUndefined()
        expect(await store.delete('TrainingJob', ref('a'))).toBe('missing')
      })

      test('a namespace closes at once and stays until it is known to be empty', async () => {
        await made('Pod', podNamed('a', 'tenant'))
        const whole = { name: 'tenant' }
        expect(await store.delete('Namespace', whole)).toBe('deleting')
        const closing = found(await store.get('Namespace', whole))
        expect(closing.status?.phase).toBe('Terminating')
        expect(closing.metadata).toMatchObject({
          finalizers: ['millwright.dev/contents'],
          deletionTimestamp: expect.any(String),
        })
        await expect(store.create('Pod', podNamed('b', 'tenant'))).rejects.toMatchObject({
          code: 'terminating',
          message: /unable to create new content in namespace "tenant" because it is being terminated/,
        })
        // What is there can still change and go.
        found(await store.patch('Pod', ref('a', 'tenant'), { metadata: { labels: { x: 'y' } } }))
        expect(await store.delete('Namespace', whole)).toBe('deleting')
        expect(found(await store.get('Namespace', whole))).toBe(closing)
        expect(await store.delete('Pod', ref('a', 'tenant'))).toBe('deleted')
        found(await store.patch('Namespace', whole, { metadata: { finalizers: [] } }))
        expect(await store.get('Namespace', whole)).toBeUndefined()
        await made('Pod', podNamed('b', 'tenant')) // a new one of that name
        expect((await store.get('Namespace', whole))?.metadata.uid).not.toBe(closing.metadata.uid)
      })

      test.each(['default', 'millwright-system'])('namespace %s cannot be deleted', async (name) => {
        await made('Pod', podNamed('a', name))
        await expect(store.delete('Namespace', { name })).rejects.toMatchObject({
          code: 'forbidden',
          message: /may not be deleted/,
        })
        expect((await store.get('Namespace', { name }))?.metadata.deletionTimestamp).toBeUndefined()
      })

      test('with finalizers it waits for the last of them', async () => {
        const job = jobNamed('a')
        await made('TrainingJob', { ...job, metadata: { ...job.metadata, finalizers: ['x/a', 'x/b'] } })
        expect(await store.delete('TrainingJob', ref('a'))).toBe('deleting')
        const deleting = found(await store.get('TrainingJob', ref('a')))
        expect(deleting.metadata).toMatchObject({
          deletionTimestamp: '2023-11-14T22:13:20Z',
          deletionGracePeriodSeconds: 0,
          generation: 2,
        })
        expect(await store.delete('TrainingJob', ref('a'))).toBe('deleting')
        expect(await store.get('TrainingJob', ref('a'))).toBe(deleting)
        await expect(
          store.patch('TrainingJob', ref('a'), { metadata: { finalizers: ['x/a', 'x/b', 'x/c'] } }),
        ).rejects.toThrow(/too late/)
        found(await store.patch('TrainingJob', ref('a'), { metadata: { finalizers: ['x/b'] } }))
        const last = found(await store.patch('TrainingJob', ref('a'), { metadata: { finalizers: [] } }))
        expect(last.metadata.name).toBe('a')
        expect(await store.get('TrainingJob', ref('a'))).toBeUndefined()
      })

      test('deletionTimestamp cannot be taken back', async () => {
        const job = jobNamed('a')
        await made('TrainingJob', { ...job, metadata: { ...job.metadata, finalizers: ['x/a'] } })
        await store.delete('TrainingJob', ref('a'))
        const patched = found(
          await store.patch('TrainingJob', ref('a'), { metadata: { deletionTimestamp: null, labels: { x: 'y' } } }),
        )
        expect(patched.metadata.deletionTimestamp).toBeDefined()
      })

      test('a bound pod that has not ended stays until its agent deletes it with grace 0', async () => {
        const pod = await made('Pod', {
          ...podNamed('a'),
          spec: { ...podNamed('a').spec, terminationGracePeriodSeconds: 20 },
        })
        await store.bind(ref('a'), { node: 'n', annotations: {} })
        expect(await store.delete('Pod', ref('a'))).toBe('deleting')
        const leaving = found(await store.get('Pod', ref('a')))
        // As on Kubernetes the timestamp is when the grace ends, not when deletion was asked for.
        expect(leaving.metadata).toMatchObject({
          deletionGracePeriodSeconds: 20,
          deletionTimestamp: '2023-11-14T22:13:40Z',
        })
        expect(await store.delete('Pod', ref('a'), { gracePeriodSeconds: 30 })).toBe('deleting')
        expect((await store.get('Pod', ref('a')))?.metadata.deletionGracePeriodSeconds).toBe(20)
        expect(await store.delete('Pod', ref('a'), { gracePeriodSeconds: 5 })).toBe('deleting')
        expect((await store.get('Pod', ref('a')))?.metadata.deletionGracePeriodSeconds).toBe(5)
        found(await store.patch('Pod', ref('a'), { status: { phase: 'Failed' } }, { status: true }))
        expect(await store.get('Pod', ref('a'))).toBeDefined()
        expect(await store.delete('Pod', ref('a'), { gracePeriodSeconds: 0, uid: pod.metadata.uid })).toBe('deleted')
      })

      test('a pod that nobody runs goes at once', async () => {
        await made('Pod', podNamed('unbound'))
        expect(await store.delete('Pod', ref('unbound'))).toBe('deleted')
        await made('Pod', podNamed('ended'))
        await store.bind(ref('ended'), { node: 'n', annotations: {} })
        await store.patch('Pod', ref('ended'), { status: { phase: 'Succeeded' } }, { status: true })
        expect(await store.delete('Pod', ref('ended'))).toBe('deleted')
      })

      test('an orphan loses its owner in the same stroke', async () => {
        const job = await made('TrainingJob', jobNamed('a'))
        const owner = { apiVersion: job.apiVersion, kind: 'TrainingJob', name: 'a', uid: job.metadata.uid ?? '' }
        const other = { ...owner, name: 'b', uid: 'b' }
        await made('Pod', {
          ...podNamed('p'),
          metadata: { name: 'p', namespace: 'default', ownerReferences: [owner, other] },
        })
        expect(await store.delete('TrainingJob', ref('a'), { propagation: 'Orphan' })).toBe('deleted')
        expect((await store.get('Pod', ref('p')))?.metadata.ownerReferences).toEqual([other])
      })
    })

    describe('bind and evict', () => {
      test('bind sets the node once and carries annotations', async () => {
        const pod = await made('Pod', {
          ...podNamed('a'),
          metadata: { name: 'a', namespace: 'default', annotations: { old: '1' } },
        })
        const binding = { node: 'n1', annotations: { rank: '0' }, uid: pod.metadata.uid }
        expect(await store.bind(ref('a'), { ...binding, uid: 'other' })).toBe('stale')
        expect(await store.bind(ref('a'), { ...binding, resourceVersion: '1234567' })).toBe('stale')
        const bound = found(await store.bind(ref('a'), binding))
        expect(bound.spec.nodeName).toBe('n1')
        expect(bound.metadata.annotations).toEqual({ old: '1', rank: '0' })
        expect(bound.status?.conditions).toMatchObject([{ type: 'PodScheduled', status: 'True' }])
        expect(await store.bind(ref('a'), { ...binding, resourceVersion: pod.metadata.resourceVersion })).toBe('bound')
        expect(await store.bind(ref('a'), { ...binding, node: 'n2' })).toBe('bound')
        expect(await store.bind(ref('b'), binding)).toBe('missing')
        expect(await store.get('Pod', ref('a'))).toBe(bound)
      })

      test('evict is a deletion that must name the uid', async () => {
        const pod = await made('Pod', podNamed('a'))
        await store.bind(ref('a'), { node: 'n', annotations: {} })
        await expect(store.evict(ref('a'), {})).rejects.toThrow(/must name the uid/)
        expect(await store.evict(ref('a'), { uid: 'other' })).toBe('stale')
        expect(await store.evict(ref('a'), { uid: pod.metadata.uid, gracePeriodSeconds: 3 })).toBe('deleting')
        expect(await store.evict(ref('a'), { uid: pod.metadata.uid, gracePeriodSeconds: 0 })).toBe('deleted')
        expect(await store.evict(ref('a'), { uid: pod.metadata.uid })).toBe('missing')
      })
    })

    describe('list', () => {
      test('is in order of namespace and name, and selects', async () => {
        for (const [name, namespace, labels] of [
          ['c', 'default', { app: 'x', tier: 'one' }],
          ['a', 'default', { app: 'y' }],
          ['b', 'other', { app: 'x' }],
        ] as const) {
          await made('Pod', { ...podNamed(name, namespace), metadata: { name, namespace, labels } })
        }
        await store.bind(ref('c'), { node: 'n1', annotations: {} })
        const names = async (selectors: object) =>
          (await store.list('Pod', selectors)).items.map((pod) => pod.metadata.name)
        expect(await names({})).toEqual(['a', 'c', 'b'])
        expect(await names({ namespace: 'default' })).toEqual(['a', 'c'])
        expect(await names({ namespace: 'nowhere' })).toEqual([])
        expect(await names({ labels: 'app=x' })).toEqual(['c', 'b'])
        expect(await names({ labels: 'app==x,tier' })).toEqual(['c'])
        expect(await names({ labels: 'app=x,!tier' })).toEqual(['b'])
        expect(await names({ labels: 'tier!=one' })).toEqual(['a', 'b'])
        expect(await names({ labels: 'app in (y, z), app' })).toEqual(['a'])
        expect(await names({ labels: 'tier notin (one)' })).toEqual(['a', 'b'])
        expect(await names({ fields: 'spec.nodeName=n1' })).toEqual(['c'])
        expect(await names({ fields: 'spec.nodeName=' })).toEqual(['a', 'b'])
        expect(await names({ fields: 'metadata.name!=a,metadata.namespace=default' })).toEqual(['c'])
        expect(await names({ fields: 'status.phase=Pending', labels: 'app=y' })).toEqual(['a'])
      })

      test('a selector that is none is refused, with what is allowed', async () => {
        await expect(store.list('Pod', { labels: 'a=b=c' })).rejects.toMatchObject({ code: 'invalid' })
        await expect(store.list('Pod', { labels: 'a in b' })).rejects.toThrow(/allowed are/)
        await expect(store.list('Pod', { fields: 'spec.secret=x' })).rejects.toThrow(/spec\.nodeName/)
      })

      test('pages show one moment, whatever happens between them', async () => {
        for (const name of ['a', 'b', 'c', 'd', 'e']) await made('Pod', podNamed(name))
        const first = await store.list('Pod', { limit: 2 })
        await store.delete('Pod', ref('a'))
        await store.delete('Pod', ref('d'))
        await made('Pod', podNamed('bb'))
        await store.patch('Pod', ref('e'), { metadata: { labels: { late: 'yes' } } })
        const second = await store.list('Pod', { limit: 2, continue: first.continue })
        const third = await store.list('Pod', { limit: 2, continue: second.continue })
        const pods = [...first.items, ...second.items, ...third.items]
        expect(pods.map((pod) => pod.metadata.name)).toEqual(['a', 'b', 'c', 'd', 'e'])
        expect(pods[4]?.metadata.labels).toBeUndefined()
        expect(third.continue).toBeUndefined()
        expect(third.resourceVersion).toBe(first.resourceVersion)
        await expect(store.list('Pod', { continue: 'nonsense' })).rejects.toMatchObject({ code: 'invalid' })
      })

      test('pages that became too old say so', async () => {
        const small = await openWith({ history: 2 })
        for (const name of ['a', 'b', 'c']) await made('Pod', podNamed(name), small)
        const first = await small.list('Pod', { limit: 1 })
        for (const name of ['d', 'e', 'f']) await made('Pod', podNamed(name), small)
        await expect(small.list('Pod', { limit: 1, continue: first.continue })).rejects.toMatchObject({
          code: 'expired',
        })
      })
    })

    describe('watch', () => {
      test('shows every change after a revision, in order', async () => {
        await made('Pod', podNamed('before'))
        const { resourceVersion } = await store.list('Pod')
        await made('Pod', podNamed('a'))
        const watched = watchAll(store, 'Pod', resourceVersion)
        await store.patch('Pod', ref('a'), { metadata: { labels: { x: 'y' } } })
        await made('TrainingJob', jobNamed('other-kind'))
        await store.delete('Pod', ref('a'))
        await made('Pod', podNamed('b'))
        await watched.until(4)
        expect(watched.words()).toEqual(['ADDED a', 'MODIFIED a', 'DELETED a', 'ADDED b'])
        const revisions = watched.events.map((event) => Number(event.object.metadata.resourceVersion))
        expect(revisions).toEqual([...revisions].sort((x, y) => x - y))
        watched.stop()
        await made('Pod', podNamed('c'))
        expect(watched.events).toHaveLength(4)
      })

      test('resumes after the last event that was seen, deletions included', async () => {
        const watched = watchAll(store, 'Pod', (await store.list('Pod')).resourceVersion)
        await made('Pod', podNamed('a'))
        await store.delete('Pod', ref('a'))
        await watched.until(2)
        watched.stop()
        await made('Pod', podNamed('b'))
        const resumed = watchAll(store, 'Pod', watched.events[1]?.object.metadata.resourceVersion ?? '')
        await resumed.until(1)
        expect(resumed.words()).toEqual(['ADDED b'])
      })

      test('an object that a selector no longer selects is gone for its watcher, and comes back', async () => {
        const from = (await store.list('Pod')).resourceVersion
        const watched = watchAll(store, 'Pod', from, { labels: 'app=x' })
        await made('Pod', podNamed('a'))
        for (const app of ['x', 'x2', 'x', null]) await store.patch('Pod', ref('a'), { metadata: { labels: { app } } })
        await store.patch('Pod', ref('a'), { metadata: { labels: { app: 'x' } } })
        const last = found(await store.patch('Pod', ref('a'), { metadata: { labels: { more: '1' } } }))
        await watched.until(6)
        expect(watched.words()).toEqual(['ADDED a', 'DELETED a', 'ADDED a', 'DELETED a', 'ADDED a', 'MODIFIED a'])
        expect(watched.events[1]?.object.metadata.labels).toEqual({ app: 'x' })
        expect(watched.events[5]?.object).toBe(last)
      })

      test('of a field, each watcher sees what has its value or has just lost it, also in one burst', async () => {
        const from = (await store.list('Pod')).resourceVersion
        const phases = ['Pending', 'Running'].map((phase) =>
          watchAll(store, 'Pod', from, { fields: `status.phase=${phase}` }),
        )
        const nodes = ['n0', 'n1'].map((node) => watchAll(store, 'Pod', from, { fields: `spec.nodeName=${node}` }))
        const both = watchAll(store, 'Pod', from, {
          fields: 'spec.nodeName=n1,metadata.name!=a1',
          namespace: 'default',
        })
        const names = ['a0', 'a1', 'b0', 'b1']
        for (const name of names) await made('Pod', podNamed(name))
        const bind = (name: string) => store.bind(ref(name), { node: `n${name.slice(1)}`, annotations: {} })
        await Promise.all(names.map(bind))
        await store.patch('Pod', ref('b1'), { status: { phase: 'Running' } }, { status: true })
        await Promise.all([...nodes, both, ...phases].map(({ until }, index) => until([2, 3, 2, 9, 1][index] ?? 0)))
        expect(nodes.map(({ words }) => words())).toEqual([
          ['ADDED a0', 'ADDED b0'],
          ['ADDED a1', 'ADDED b1', 'MODIFIED b1'],
        ])
        expect(both.words()).toEqual(['ADDED b1', 'MODIFIED b1'])
        expect(phases[0]?.words().slice(-2)).toEqual(['MODIFIED b1', 'DELETED b1'])
        expect(phases[1]?.words()).toEqual(['ADDED b1'])
        nodes[0]?.stop()
        await store.delete('Pod', ref('a0'), { gracePeriodSeconds: 0 })
        await store.delete('Pod', ref('b1'), { gracePeriodSeconds: 0 })
        await nodes[1]?.until(4)
        expect(nodes[0]?.words()).toEqual(['ADDED a0', 'ADDED b0'])
      })

      test('too far back, or from the future, has expired', async () => {
        const small = await openWith({ history: 5 })
        const { resourceVersion } = await small.list('Pod')
        for (let i = 0; i < 10; i++) await made('Pod', podNamed(`p${i}`), small)
        const old = watchAll(small, 'Pod', resourceVersion)
        expect(await old.ended).toBe('expired')
        const future = watchAll(small, 'Pod', '999999')
        expect(await future.ended).toBe('expired')
        expect([...old.events, ...future.events]).toEqual([])
        const recent = watchAll(small, 'Pod', (await small.list('Pod')).resourceVersion)
        await made('Pod', podNamed('last'), small)
        await recent.until(1)
      })

      test('what one kind does not keep, a quiet kind still does', async () => {
        const small = await openWith({ history: 5 })
        await made('Queue', queueNamed('q'), small)
        const { resourceVersion } = await small.list('Queue')
        for (let i = 0; i < 10; i++) await made('Pod', podNamed(`p${i}`), small)
        const watched = watchAll(small, 'Queue', resourceVersion)
        await made('Queue', queueNamed('q2'), small)
        await watched.until(1)
        expect(watched.words()).toEqual(['ADDED q2'])
      })

      test('a burst longer than the history reaches whoever was watching', async () => {
        const small = await openWith({ history: 5 })
        const watched = watchAll(small, 'Pod', (await small.list('Pod')).resourceVersion)
        await Promise.all(Array.from({ length: 50 }, (_, i) => made('Pod', podNamed(`p${i}`), small)))
        await watched.until(50)
      })

      test('a resourceVersion that the store never gave is refused', () => {
        expect(() => store.watch('Pod', { from: 'abc' }, { event() {}, ended() {} })).toThrow(OperatingError)
      })

      test('closing ends it', async () => {
        const other = await openWith({})
        const watched = watchAll(other, 'Pod', (await other.list('Pod')).resourceVersion)
        await made('Pod', podNamed('a'), other)
        await other.close()
        expect(await watched.ended).toBe('closed')
        expect(watched.words()).toEqual(['ADDED a'])
        await expect(other.get('Pod', ref('a'))).rejects.toMatchObject({ code: 'store-closed' })
        await expect(other.create('Pod', podNamed('b'))).rejects.toMatchObject({ code: 'store-closed' })
      })

      test('a bookmark tells an idle watcher how far it is', async () => {
        const bookmarks: string[] = []
        const events: string[] = []
        const from = (await store.list('Queue')).resourceVersion
        store.watch(
          'Queue',
          { from },
          {
            event: (event) => void events.push(event.type),
            ended() {},
            bookmark: (revision) => void bookmarks.push(revision),
          },
        )
        await Promise.all(Array.from({ length: 1_100 }, (_, i) => made('Pod', podNamed(`p${i}`))))
        await made('Pod', podNamed('last'))
        expect(bookmarks.length).toBeGreaterThan(0)
        expect(Number(bookmarks[0])).toBeGreaterThan(Number(from))
        expect(events).toEqual([])
      })

      test('and one that sees nothing of all that happens to its kind', async () => {
        const bookmarks: string[] = []
        const { resourceVersion } = await store.list('Pod')
        const sink = { event() {}, ended() {}, bookmark: (revision: string) => void bookmarks.push(revision) }
        store.watch('Pod', { from: resourceVersion, fields: 'spec.nodeName=n1' }, sink)
        for (let i = 0; i < 2_200; i++) await made('Pod', podNamed(`p${i}`))
        expect(bookmarks.length).toBe(2)
        expect(Number(bookmarks[1]) - Number(bookmarks[0])).toBeGreaterThanOrEqual(1_000)
      })
    })

    describe('leases fence', () => {
      const lease = ref('leader')
      const leaseAt = (epoch: number) => ({
        apiVersion: 'coordination.k8s.io/v1' as const,
        kind: 'Lease' as const,
        metadata: { name: 'leader', namespace: 'default' },
        spec: { holderIdentity: `holder-${epoch}`, leaseTransitions: epoch },
      })

      test('a paused ex-leader that wakes up changes nothing', async () => {
        await made('Lease', leaseAt(1))
        const gang = await made('Gang', gangNamed('g'))
        const old = { fence: { lease, epoch: 1 } }
        expect(await store.patch('Gang', ref('g'), { spec: { priority: 1 } }, old)).toMatchObject({
          spec: { priority: 1 },
        })
        await store.patch('Lease', lease, { spec: { leaseTransitions: 2 } })
        const refused = { code: 'fenced' }
        await expect(store.patch('Gang', ref('g'), { spec: { priority: 2 } }, old)).rejects.toMatchObject(refused)
        await expect(store.update('Gang', gang, old)).rejects.toMatchObject(refused)
        await expect(store.updateStatus('Gang', gang, old)).rejects.toMatchObject(refused)
        await expect(store.create('Gang', gangNamed('h'), old)).rejects.toMatchObject(refused)
        await expect(store.delete('Gang', ref('g'), old)).rejects.toMatchObject(refused)
        await made('Pod', podNamed('p'))
        await expect(store.bind(ref('p'), { node: 'n', annotations: {}, ...old })).rejects.toMatchObject(refused)
        await expect(store.bind(ref('p'), { node: 'n', annotations: {} }, old)).rejects.toMatchObject(refused)
        await expect(store.evict(ref('p'), { uid: 'x', ...old })).rejects.toMatchObject(refused)
        expect((await store.get('Gang', ref('g')))?.spec.priority).toBe(1)
        const current = { fence: { lease, epoch: 2 } }
        expect(await store.patch('Gang', ref('g'), { spec: { priority: 3 } }, current)).toMatchObject({
          spec: { priority: 3 },
        })
      })

      test("a lease's epoch never falls, and without the lease nobody leads", async () => {
        const first = await made('Lease', leaseAt(3))
        await expect(
          store.update('Lease', { ...first, spec: { ...first.spec, leaseTransitions: 2 } }),
        ).rejects.toMatchObject({ code: 'fenced' })
        await store.delete('Lease', lease)
        await expect(store.create('Gang', gangNamed('g'), { fence: { lease, epoch: 3 } })).rejects.toMatchObject({
          code: 'fenced',
        })
      })

      test('deleting the lease lets no ex-leader in: the next epoch is above all before it', async () => {
        const contender = (identity: string) =>
          createLeaseHolder({ store, clock, ref: lease, identity, durationMs: 15_000 })
        const [a, b] = [contender('a'), contender('b')]
        const epochs: (number | undefined)[] = []
        for (let i = 0; i < 3; i++) epochs.push(await a.acquire())
        const fence = a.fence()
        await store.delete('Lease', lease)
        epochs.push(await b.acquire())
        const numbers = epochs.map(Number)
        expect(numbers).toEqual([...new Set(numbers)].sort((x, y) => x - y))
        await expect(store.create('Gang', gangNamed('g'), { fence })).rejects.toMatchObject({ code: 'fenced' })
        expect(await store.create('Gang', gangNamed('g'), { fence: b.fence() })).not.toBe('exists')
      })

      test('nor does making it again by hand', async () => {
        await made('Lease', leaseAt(3))
        await store.delete('Lease', lease)
        await made('Lease', leaseAt(1))
        const fence = { lease, epoch: 3 }
        await expect(store.create('Gang', gangNamed('g'), { fence })).rejects.toMatchObject({ code: 'fenced' })
      })

      test('with the check switched off the store lets it pass, as Kubernetes does', async () => {
        const loose = await openWith({ fencing: false })
        await made('Lease', leaseAt(5), loose)
        expect(await loose.create('Gang', gangNamed('g'), { fence: { lease, epoch: 1 } })).not.toBe('exists')
      })
    })

    describe('Events', () => {
      test('the newest are kept, and none for longer than their time', async () => {
        const small = await openWith({ events: { max: 10, ageMsMax: 60_000 } })
        for (let i = 0; i < 25; i++) await made('Event', eventNamed(`e${i}`), small)
        const names = async () => (await small.list('Event')).items.map((event) => event.metadata.name)
        expect((await names()).sort()).toEqual(Array.from({ length: 10 }, (_, i) => `e${i + 15}`))
        await clock.advance(61_000)
        await made('Event', eventNamed('new'), small)
        expect(await names()).toEqual(['new'])
      })

      test('one that is seen again counts as new', async () => {
        const small = await openWith({ events: { max: 2, ageMsMax: 60_000 } })
        for (const name of ['a', 'b']) await made('Event', eventNamed(name), small)
        await small.patch('Event', ref('a'), { count: 2 })
        await made('Event', eventNamed('c'), small)
        expect((await small.list('Event')).items.map((event) => event.metadata.name)).toEqual(['a', 'c'])
      })
    })
  })
}

// What the tests are made of.

export function ref(name: string, namespace = 'default') {
  return { name, namespace }
}

export function jobNamed(name: string, namespace = 'default'): TrainingJob {
  return {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'TrainingJob',
    metadata: { name, namespace },
    spec: {
      queue: 'default',
      priority: 0,
      preemptible: true,
      suspend: false,
      command: ['true'],
      checkpoint: { ranks: 'first', keep: 2, copies: 0 },
      maxRestarts: 5,
      failurePolicy: {},
      terminationGracePeriodSeconds: 30,
    },
  }
}

export function podNamed(name: string, namespace = 'default'): Pod {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace }, spec: { containers: [{ name: 'main' }] } }
}

function gangNamed(name: string): Gang {
  return {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'Gang',
    metadata: { name, namespace: 'default' },
    spec: { attempt: 1, queue: 'default', priority: 0, preemptible: true, suspend: false, groups: [] },
  }
}

function queueNamed(name: string): KindMap['Queue'] {
  return {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'Queue',
    metadata: { name },
    spec: { namespaces: ['default'], weight: 1, stopPolicy: 'None' },
  }
}

function eventNamed(name: string): KindMap['Event'] {
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name, namespace: 'default' },
    involvedObject: { kind: 'Pod', name: 'p' },
    reason: 'Tried',
  }
}

/** The resource, where an answer is one. */
export function found<T>(answer: T): Exclude<T, string | undefined> {
  if (answer === undefined || typeof answer === 'string') throw new Error(`expected a resource, got ${String(answer)}`)
  return answer as Exclude<T, string | undefined>
}

function watchAll<K extends KindName>(store: Store, kind: K, from: string, selectors: object = {}) {
  const events: WatchEvent<KindMap[K]>[] = []
  let wanted = { count: Number.POSITIVE_INFINITY, resolve: () => {} }
  let end: (reason: string) => void = () => {}
  const ended = new Promise<string>((resolve) => {
    end = resolve
  })
  const stop = store.watch(
    kind,
    { ...selectors, from },
    {
      event: (event) => {
        events.push(event)
        if (events.length >= wanted.count) wanted.resolve()
      },
      ended: (reason) => end(reason),
    },
  )
  return {
    events,
    ended,
    stop,
    words: () => events.map((event) => `${event.type} ${event.object.metadata.name}`),
    until: (count: number) =>
      new Promise<void>((resolve) => {
        wanted = { count, resolve }
        if (events.length >= count) resolve()
      }),
  }
}
