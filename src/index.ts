/** What programs may import from `millwright`: the kinds, the client, and a factory to embed. */
export { type Client, createClient } from './api/client.ts'
export type * from './model/kinds/kubernetes.ts'
export type * from './model/kinds/workloads.ts'
export { type KindName, kinds } from './model/registry.ts'
export { type Factory, type FactoryConfig, startFactory } from './runtime/factory.ts'
