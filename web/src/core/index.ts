// The client library; README.md tells how to use it.
export { EventsClient, type Auth, type EventsClientOptions } from "./client";
export type { DomainEvent, Plain } from "./codec";
export type { OpenSocket, SocketLike } from "./connection";
export { openSocket, type Happening, type Surroundings } from "./platform";
export { Store } from "./store";
export type { Presence, ResyncReason, Start, Subscription, SubscriptionOptions, SubscriptionState } from "./subscriptions";
export type { WorkerLike } from "./tab";
export { SignedOutError, type ConnectionState } from "./transport";
