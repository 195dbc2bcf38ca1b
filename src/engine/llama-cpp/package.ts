/** The optional peer, loaded when a model is opened. */
export type LlamaPackage = typeof import('node-llama-cpp')
