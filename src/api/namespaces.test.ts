import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { job, startTestApi, type TestApi } from './test-api.ts'

let at: TestApi
beforeEach(async () => {
  at = await startTestApi()
})
afterEach(() => at.close())

const jobsIn = (namespace: string) => `/apis/millwright.dev/v1alpha1/namespaces/${namespace}/trainingjobs`
const create = (namespace: string, query = '') =>
  at.ask('POST', `${jobsIn(namespace)}${query}`, { body: JSON.stringify(job('a', {}, namespace)) })
const make = (name: string) =>
  at.client.create('Namespace', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })

describe('a namespace', () => {
  it.each(['', '?dryRun=All'])('is made before anything is made in it, and the answer says how (%s)', async (query) => {
    const refused = await create('tema', query)
    expect(refused.status).toBe(404)
    expect(refused.body).toMatchObject({
      kind: 'Status',
      reason: 'NotFound',
      message: expect.stringMatching(
        /^namespaces "tema" not found; make it first: `kubectl create namespace tema`, or/,
      ),
      details: { name: 'tema', kind: 'namespaces' },
    })
    expect(await at.client.get('Namespace', { name: 'tema' })).toBeUndefined()
    await make('tema')
    expect((await create('tema', query)).status).toBe(201)
  })

  it('default is always there', async () => {
    expect((await create('default')).status).toBe(201)
  })

  it('that is being deleted takes nothing new, and is answered whole until it is empty', async () => {
    await make('team')
    await create('team')
    const deleted = await at.ask('DELETE', '/api/v1/namespaces/team')
    expect(deleted.body).toMatchObject({ kind: 'Namespace', status: { phase: 'Terminating' } })
    const refused = await at.ask('POST', jobsIn('team'), { body: JSON.stringify(job('b', {}, 'team')) })
    expect(refused.status).toBe(403)
    expect(refused.body).toMatchObject({
      reason: 'Forbidden',
      message: expect.stringContaining('namespace "team" because it is being terminated'),
    })
    expect((await at.ask('GET', `${jobsIn('team')}/a`)).status).toBe(200)
    expect((await at.ask('DELETE', `${jobsIn('team')}/a`)).status).toBe(200)
  })

  it.each(['default', 'millwright-system'])('%s may not be deleted', async (name) => {
    if (name !== 'default') await make(name)
    const refused = await at.ask('DELETE', `/api/v1/namespaces/${name}`)
    expect(refused.status).toBe(403)
    expect(refused.body).toMatchObject({
      reason: 'Forbidden',
      message: `namespaces "${name}" is forbidden: this namespace may not be deleted; delete what is in it instead`,
    })
    expect((await at.ask('GET', `/api/v1/namespaces/${name}`)).body).toMatchObject({ status: { phase: 'Active' } })
  })
})
