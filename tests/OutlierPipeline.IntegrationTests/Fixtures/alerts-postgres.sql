--
-- PostgreSQL database dump
--

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: Actions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."Actions" (
    "Id" uuid NOT NULL,
    "Incident" text NOT NULL,
    "Milliseconds" bigint NOT NULL,
    "Who" text NOT NULL,
    "Action" text NOT NULL,
    "Text" text
);

--
-- Name: Alerts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."Alerts" (
    "Cluster" text NOT NULL,
    "Topic" text NOT NULL,
    "Partition" integer NOT NULL,
    "Offset" bigint NOT NULL,
    "EventId" text NOT NULL,
    "Incident" text NOT NULL,
    "Type" text NOT NULL,
    "Camera" text NOT NULL,
    "Kind" text NOT NULL,
    "Severity" text NOT NULL,
    "RecordedMilliseconds" bigint NOT NULL,
    "IsMuted" boolean NOT NULL,
    "Json" text NOT NULL
);

--
-- Name: Deliveries; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."Deliveries" (
    "Subscription" uuid NOT NULL,
    "EventId" text NOT NULL,
    "Incident" text NOT NULL,
    "Offset" bigint NOT NULL,
    "State" text NOT NULL,
    "Attempts" integer NOT NULL,
    "NextMilliseconds" bigint NOT NULL,
    "DoneMilliseconds" bigint,
    "LastError" text
);

--
-- Name: Incidents; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."Incidents" (
    "Id" text NOT NULL,
    "Camera" text NOT NULL,
    "Kind" text NOT NULL,
    "Severity" integer NOT NULL,
    "OpenedNanoseconds" bigint NOT NULL,
    "LastNanoseconds" bigint NOT NULL,
    "ClosedNanoseconds" bigint,
    "Closed" text,
    "Reason" text NOT NULL,
    "FiredScore" text,
    "Strangeness" double precision,
    "Martingale" double precision NOT NULL,
    "IsExtrapolated" boolean,
    "WhereX" double precision,
    "WhereY" double precision,
    "WhereWidth" double precision,
    "WhereHeight" double precision,
    "Model" text NOT NULL,
    "RecordedMilliseconds" bigint NOT NULL,
    "HasPicture" boolean NOT NULL,
    "IsPictureExpired" boolean NOT NULL,
    "IsMuted" boolean NOT NULL,
    "AcknowledgedBy" text,
    "AcknowledgedMilliseconds" bigint,
    "Judgement" text,
    "JudgedBy" text,
    "JudgedMilliseconds" bigint
);

--
-- Name: Leases; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."Leases" (
    "Name" text NOT NULL,
    "Holder" text NOT NULL,
    "UntilMilliseconds" bigint NOT NULL
);

--
-- Name: Mutes; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."Mutes" (
    "Id" uuid NOT NULL,
    "Cameras" text NOT NULL,
    "FromMilliseconds" bigint NOT NULL,
    "UntilMilliseconds" bigint NOT NULL,
    "Who" text NOT NULL,
    "Reason" text
);

--
-- Name: Pictures; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."Pictures" (
    "Incident" text NOT NULL,
    "RecordedMilliseconds" bigint NOT NULL,
    "Jpeg" bytea NOT NULL
);

--
-- Name: Positions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."Positions" (
    "Cluster" text NOT NULL,
    "Topic" text NOT NULL,
    "Partition" integer NOT NULL,
    "NextOffset" bigint NOT NULL
);

--
-- Name: Subscriptions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."Subscriptions" (
    "Id" uuid NOT NULL,
    "Name" text NOT NULL,
    "Url" text NOT NULL,
    "Secret" text NOT NULL,
    "Cameras" text,
    "MinSeverity" integer NOT NULL,
    "Kinds" text,
    "CreatedMilliseconds" bigint NOT NULL,
    "CreatedBy" text NOT NULL,
    "DeadReason" text,
    "FailingSinceMilliseconds" bigint,
    "PausedUntilMilliseconds" bigint NOT NULL,
    "LastSuccessMilliseconds" bigint,
    "LastError" text
);

--
-- Name: __EFMigrationsHistory; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."__EFMigrationsHistory" (
    "MigrationId" character varying(150) NOT NULL,
    "ProductVersion" character varying(32) NOT NULL
);

--
-- Data for Name: Actions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."Actions" VALUES ('01a21598-fe53-7d06-8688-1185e0a4e85f', 'one', 1795658677835, 'local', 'acknowledge', 'on my way');
INSERT INTO public."Actions" VALUES ('01a21598-fe65-7280-b003-1c26a7547a0a', 'one', 1795658677859, 'local', 'normal', 'a wet lens');

--
-- Data for Name: Alerts; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."Alerts" VALUES ('test', 'ood.alerts', 2, 0, 'muted-1', 'muted', 'outlier.alert.opened', 'van-2/left', 'Scene', 'Warning', 1795658676845, true, '{"specversion":"1.0","id":"muted-1","source":"urn:outlier-pipeline","type":"outlier.alert.opened","subject":"muted","time":"2026-09-21T14:14:51.123456789Z","datacontenttype":"application/json","dataschema":"urn:outlier-pipeline:schema:alert:1","data":{"camera":"van-2/left","kind":"scene","severity":"warning","reason":"the picture is strange for 0.4 s, most by its bands score (odds 10^7)","firstFrame":{"topic":"camera.frames","partition":0,"offset":190,"timestamp":"2026-09-21T14:14:50.123456789Z"},"lastFrame":{"topic":"camera.frames","partition":0,"offset":191,"timestamp":"2026-09-21T14:14:51.123456789Z"},"firedScore":"bands","strangeness":7.5,"extrapolated":true,"where":{"x":0.5,"y":0.25,"width":0.05,"height":0.1},"scores":{"reconstruction":0,"structure":0,"kl":0,"latent":0,"typicality":0,"statistics":0,"colour":0,"bands":0,"local":0,"region":0,"mixture":0},"pValues":{"reconstruction":0.0008326394671107411,"structure":1,"kl":1,"latent":1,"typicality":1,"statistics":1,"colour":1,"bands":1,"local":1,"region":1,"mixture":0.9283930058284763},"pValue":0.001,"martingale":7,"model":{"name":"street-demo","version":"1.0.0","digest":"sha256:755e8627d7321cbf344144749a6fb6ad870cdac8276ea59f2c265fd3890f7699"}}}');
INSERT INTO public."Alerts" VALUES ('test', 'ood.alerts', 3, 0, 'two-1', 'two', 'outlier.alert.opened', 'truck-7/rear', 'Frozen', 'Warning', 1795658676845, false, '{"specversion":"1.0","id":"two-1","source":"urn:outlier-pipeline","type":"outlier.alert.opened","subject":"two","time":"2026-09-21T14:14:21.123456789Z","datacontenttype":"application/json","dataschema":"urn:outlier-pipeline:schema:alert:1","data":{"camera":"truck-7/rear","kind":"frozen","severity":"warning","reason":"the picture is strange for 0.4 s, most by its bands score (odds 10^7)","firstFrame":{"topic":"camera.frames","partition":0,"offset":160,"timestamp":"2026-09-21T14:14:20.123456789Z"},"lastFrame":{"topic":"camera.frames","partition":0,"offset":161,"timestamp":"2026-09-21T14:14:21.123456789Z"},"firedScore":"bands","strangeness":7.5,"extrapolated":true,"where":{"x":0.5,"y":0.25,"width":0.05,"height":0.1},"scores":{"reconstruction":0,"structure":0,"kl":0,"latent":0,"typicality":0,"statistics":0,"colour":0,"bands":0,"local":0,"region":0,"mixture":0},"pValues":{"reconstruction":0.0008326394671107411,"structure":1,"kl":1,"latent":1,"typicality":1,"statistics":1,"colour":1,"bands":1,"local":1,"region":1,"mixture":0.9283930058284763},"pValue":0.001,"martingale":7,"model":{"name":"street-demo","version":"1.0.0","digest":"sha256:755e8627d7321cbf344144749a6fb6ad870cdac8276ea59f2c265fd3890f7699"}}}');
INSERT INTO public."Alerts" VALUES ('test', 'ood.alerts', 0, 0, 'one-1', 'one', 'outlier.alert.opened', 'car-1/front', 'Scene', 'Warning', 1795658676845, false, '{"specversion":"1.0","id":"one-1","source":"urn:outlier-pipeline","type":"outlier.alert.opened","subject":"one","time":"2026-09-21T14:13:21.123456789Z","datacontenttype":"application/json","dataschema":"urn:outlier-pipeline:schema:alert:1","data":{"camera":"car-1/front","kind":"scene","severity":"warning","reason":"the picture is strange for 0.4 s, most by its bands score (odds 10^7)","firstFrame":{"topic":"camera.frames","partition":0,"offset":100,"timestamp":"2026-09-21T14:13:20.123456789Z"},"lastFrame":{"topic":"camera.frames","partition":0,"offset":101,"timestamp":"2026-09-21T14:13:21.123456789Z"},"firedScore":"bands","strangeness":7.5,"extrapolated":true,"where":{"x":0.5,"y":0.25,"width":0.05,"height":0.1},"scores":{"reconstruction":0,"structure":0,"kl":0,"latent":0,"typicality":0,"statistics":0,"colour":0,"bands":0,"local":0,"region":0,"mixture":0},"pValues":{"reconstruction":0.0008326394671107411,"structure":1,"kl":1,"latent":1,"typicality":1,"statistics":1,"colour":1,"bands":1,"local":1,"region":1,"mixture":0.9283930058284763},"pValue":0.001,"martingale":7,"model":{"name":"street-demo","version":"1.0.0","digest":"sha256:755e8627d7321cbf344144749a6fb6ad870cdac8276ea59f2c265fd3890f7699"},"picture":{"contentType":"image/jpeg","url":"/api/alerts/one/picture.jpg"}}}');
INSERT INTO public."Alerts" VALUES ('test', 'ood.alerts', 0, 1, 'one-2', 'one', 'outlier.alert.escalated', 'car-1/front', 'Scene', 'Critical', 1795658676845, false, '{"specversion":"1.0","id":"one-2","source":"urn:outlier-pipeline","type":"outlier.alert.escalated","subject":"one","time":"2026-09-21T14:13:22.123456789Z","datacontenttype":"application/json","dataschema":"urn:outlier-pipeline:schema:alert:1","data":{"camera":"car-1/front","kind":"scene","severity":"critical","reason":"the picture is strange for 0.4 s, most by its bands score (odds 10^7)","firstFrame":{"topic":"camera.frames","partition":0,"offset":100,"timestamp":"2026-09-21T14:13:20.123456789Z"},"lastFrame":{"topic":"camera.frames","partition":0,"offset":102,"timestamp":"2026-09-21T14:13:22.123456789Z"},"firedScore":"bands","strangeness":7.5,"extrapolated":true,"where":{"x":0.5,"y":0.25,"width":0.05,"height":0.1},"scores":{"reconstruction":0,"structure":0,"kl":0,"latent":0,"typicality":0,"statistics":0,"colour":0,"bands":0,"local":0,"region":0,"mixture":0},"pValues":{"reconstruction":0.0008326394671107411,"structure":1,"kl":1,"latent":1,"typicality":1,"statistics":1,"colour":1,"bands":1,"local":1,"region":1,"mixture":0.9283930058284763},"pValue":0.001,"martingale":7,"model":{"name":"street-demo","version":"1.0.0","digest":"sha256:755e8627d7321cbf344144749a6fb6ad870cdac8276ea59f2c265fd3890f7699"}}}');
INSERT INTO public."Alerts" VALUES ('test', 'ood.alerts', 0, 2, 'one-3', 'one', 'outlier.alert.closed', 'car-1/front', 'Scene', 'Critical', 1795658676845, false, '{"specversion":"1.0","id":"one-3","source":"urn:outlier-pipeline","type":"outlier.alert.closed","subject":"one","time":"2026-09-21T14:13:23.123456789Z","datacontenttype":"application/json","dataschema":"urn:outlier-pipeline:schema:alert:1","data":{"camera":"car-1/front","kind":"scene","severity":"critical","reason":"the picture is strange for 0.4 s, most by its bands score (odds 10^7)","firstFrame":{"topic":"camera.frames","partition":0,"offset":100,"timestamp":"2026-09-21T14:13:20.123456789Z"},"lastFrame":{"topic":"camera.frames","partition":0,"offset":103,"timestamp":"2026-09-21T14:13:23.123456789Z"},"firedScore":"bands","strangeness":7.5,"closed":"calm","where":{"x":0.5,"y":0.25,"width":0.05,"height":0.1},"scores":{"reconstruction":0,"structure":0,"kl":0,"latent":0,"typicality":0,"statistics":0,"colour":0,"bands":0,"local":0,"region":0,"mixture":0},"pValues":{"reconstruction":0.0008326394671107411,"structure":1,"kl":1,"latent":1,"typicality":1,"statistics":1,"colour":1,"bands":1,"local":1,"region":1,"mixture":0.9283930058284763},"pValue":0.001,"martingale":7,"model":{"name":"street-demo","version":"1.0.0","digest":"sha256:755e8627d7321cbf344144749a6fb6ad870cdac8276ea59f2c265fd3890f7699"}}}');

--
-- Data for Name: Deliveries; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."Deliveries" VALUES ('01a21598-fa5a-7c8a-9185-07ba4e17d98a', 'one-2', 'one', 1, 'Pending', 0, 1795658677806, NULL, NULL);
INSERT INTO public."Deliveries" VALUES ('01a21598-fa5a-7c8a-9185-07ba4e17d98a', 'one-3', 'one', 2, 'Pending', 0, 1795658677806, NULL, NULL);
INSERT INTO public."Deliveries" VALUES ('01a21598-fa41-7e84-8fff-6a43376f1514', 'two-1', 'two', 0, 'Pending', 1, 1795658682260, NULL, 'Name or service not known');
INSERT INTO public."Deliveries" VALUES ('01a21598-fa5a-7c8a-9185-07ba4e17d98a', 'one-1', 'one', 0, 'Pending', 1, 1795658681879, NULL, 'refused: 127.0.0.1 is a loopback address; Webhooks:AllowedNetworks allows it');

--
-- Data for Name: Incidents; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."Incidents" VALUES ('muted', 'van-2/left', 'Scene', 1, 1790000090123456789, 1790000091123456789, NULL, NULL, 'the picture is strange for 0.4 s, most by its bands score (odds 10^7)', 'bands', 7.5, 7, true, 0.5, 0.25, 0.05, 0.1, 'street-demo 1.0.0', 1795658676845, false, false, true, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public."Incidents" VALUES ('two', 'truck-7/rear', 'Frozen', 1, 1790000060123456789, 1790000061123456789, NULL, NULL, 'the picture is strange for 0.4 s, most by its bands score (odds 10^7)', 'bands', 7.5, 7, true, 0.5, 0.25, 0.05, 0.1, 'street-demo 1.0.0', 1795658676845, false, false, false, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public."Incidents" VALUES ('one', 'car-1/front', 'Scene', 2, 1790000000123456789, 1790000003123456789, 1790000003123456789, 'calm', 'the picture is strange for 0.4 s, most by its bands score (odds 10^7)', 'bands', 7.5, 7, true, 0.5, 0.25, 0.05, 0.1, 'street-demo 1.0.0', 1795658676845, true, false, false, 'local', 1795658677835, 'normal', 'local', 1795658677859);

--
-- Data for Name: Leases; Type: TABLE DATA; Schema: public; Owner: -
--

--
-- Data for Name: Mutes; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."Mutes" VALUES ('01a21598-fa5f-7569-bc59-3baaa5e71665', 'van-?/*', 1795658676831, 1803348276827, 'local', 'lenses');

--
-- Data for Name: Pictures; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."Pictures" VALUES ('one', 1795658676845, '\xffd8ffd9');

--
-- Data for Name: Positions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."Positions" VALUES ('test', 'ood.alerts', 2, 1);
INSERT INTO public."Positions" VALUES ('test', 'ood.alerts', 3, 1);
INSERT INTO public."Positions" VALUES ('test', 'ood.alerts', 0, 3);

--
-- Data for Name: Subscriptions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."Subscriptions" VALUES ('01a21598-fa41-7e84-8fff-6a43376f1514', 'fleet', 'https://fleet.example.com/hooks/outlier', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'truck-*', 1, NULL, 1795658676801, 'local', NULL, 1795658677829, 1795658682260, NULL, 'Name or service not known');
INSERT INTO public."Subscriptions" VALUES ('01a21598-fa5a-7c8a-9185-07ba4e17d98a', 'all', 'http://127.0.0.1:9/hook', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', NULL, 0, 'Scene,Dark', 1795658676826, 'local', NULL, 1795658677862, 1795658681879, NULL, 'refused: 127.0.0.1 is a loopback address; Webhooks:AllowedNetworks allows it');

--
-- Data for Name: __EFMigrationsHistory; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."__EFMigrationsHistory" VALUES ('20261124003837_Initial', '10.0.15');

--
-- Name: Actions PK_Actions; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."Actions"
    ADD CONSTRAINT "PK_Actions" PRIMARY KEY ("Id");

--
-- Name: Alerts PK_Alerts; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."Alerts"
    ADD CONSTRAINT "PK_Alerts" PRIMARY KEY ("Cluster", "Topic", "Partition", "Offset");

--
-- Name: Deliveries PK_Deliveries; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."Deliveries"
    ADD CONSTRAINT "PK_Deliveries" PRIMARY KEY ("Subscription", "EventId");

--
-- Name: Incidents PK_Incidents; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."Incidents"
    ADD CONSTRAINT "PK_Incidents" PRIMARY KEY ("Id");

--
-- Name: Leases PK_Leases; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."Leases"
    ADD CONSTRAINT "PK_Leases" PRIMARY KEY ("Name");

--
-- Name: Mutes PK_Mutes; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."Mutes"
    ADD CONSTRAINT "PK_Mutes" PRIMARY KEY ("Id");

--
-- Name: Pictures PK_Pictures; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."Pictures"
    ADD CONSTRAINT "PK_Pictures" PRIMARY KEY ("Incident");

--
-- Name: Positions PK_Positions; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."Positions"
    ADD CONSTRAINT "PK_Positions" PRIMARY KEY ("Cluster", "Topic", "Partition");

--
-- Name: Subscriptions PK_Subscriptions; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."Subscriptions"
    ADD CONSTRAINT "PK_Subscriptions" PRIMARY KEY ("Id");

--
-- Name: __EFMigrationsHistory PK___EFMigrationsHistory; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."__EFMigrationsHistory"
    ADD CONSTRAINT "PK___EFMigrationsHistory" PRIMARY KEY ("MigrationId");

--
-- Name: IX_Actions_Incident; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX "IX_Actions_Incident" ON public."Actions" USING btree ("Incident");

--
-- Name: IX_Alerts_EventId; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX "IX_Alerts_EventId" ON public."Alerts" USING btree ("EventId");

--
-- Name: IX_Alerts_Incident; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX "IX_Alerts_Incident" ON public."Alerts" USING btree ("Incident");

--
-- Name: IX_Deliveries_State_NextMilliseconds; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX "IX_Deliveries_State_NextMilliseconds" ON public."Deliveries" USING btree ("State", "NextMilliseconds");

--
-- Name: IX_Deliveries_Subscription_Incident; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX "IX_Deliveries_Subscription_Incident" ON public."Deliveries" USING btree ("Subscription", "Incident");

--
-- Name: IX_Incidents_Camera; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX "IX_Incidents_Camera" ON public."Incidents" USING btree ("Camera");

--
-- Name: IX_Incidents_ClosedNanoseconds; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX "IX_Incidents_ClosedNanoseconds" ON public."Incidents" USING btree ("ClosedNanoseconds");

--
-- Name: IX_Incidents_OpenedNanoseconds_Id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX "IX_Incidents_OpenedNanoseconds_Id" ON public."Incidents" USING btree ("OpenedNanoseconds", "Id");

--
-- Name: IX_Pictures_RecordedMilliseconds; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX "IX_Pictures_RecordedMilliseconds" ON public."Pictures" USING btree ("RecordedMilliseconds");

--
-- PostgreSQL database dump complete
--

