import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialDeletion;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.quota.ClientQuotaFilterComponent;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

/** The Admin API, but for groups and transactions. */
final class Administration {
    private static final String ONE_NODE = "one node has nothing to move";

    private final Steps steps;
    private final Connections to;

    Administration(Steps steps, Connections to) {
        this.steps = steps;
        this.to = to;
    }

    void run() {
        steps.step("admin: describe the cluster", this::cluster);
        steps.step("admin: describe features", this::features);
        steps.step("admin: create, list and describe topics, by id too", this::topics);
        steps.step("admin: what cannot be created is refused", this::refusals);
        steps.step("admin: add partitions", this::partitions);
        steps.step("admin: describe and alter configs incrementally", this::configs);
        steps.step("admin: describe the broker's configs", this::brokerConfigs);
        steps.step("admin: list offsets by every kind of place", this::offsets);
        steps.step("admin: delete records", this::deleteRecords);
        steps.step("admin: describe log dirs", this::logDirs);
        steps.step("admin: alter and describe quotas", this::quotas);
        steps.step("admin: create, describe and delete SCRAM users", this::scram);
        steps.step("admin: create, describe and delete ACLs", this::acls);
        steps.step("admin: list config resources", this::configResources);
        steps.step("admin: delete topics, by id too", this::delete);
        steps.step("admin: list reassignments, elect leaders", ONE_NODE, this::reassignments);
        steps.step("admin: describe the metadata quorum", "one node has no quorum", this::quorum);
    }

    private Object cluster() throws Exception {
        var found = to.admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true));
        Steps.same(Connections.get(found.nodes()).isEmpty(), false);
        Steps.same(Connections.get(found.controller()) != null, true);
        Steps.same(Connections.get(found.authorizedOperations()).contains(AclOperation.CREATE), true);
        return "cluster id " + Connections.get(found.clusterId());
    }

    private Object features() throws Exception {
        var found = Connections.get(to.admin.describeFeatures().featureMetadata()).finalizedFeatures();
        Steps.same((int) found.get("transaction.version").maxVersionLevel(), 2);
        return found.keySet();
    }

    private Object topics() throws Exception {
        String topic = to.create("admin", 2, Map.of("retention.ms", "3600000"));
        Steps.same(Connections.get(to.admin.listTopics().names()).contains(topic), true);
        var byName = Connections.get(to.admin.describeTopics(List.of(topic)).allTopicNames()).get(topic);
        var byId = Connections.get(to.admin.describeTopics(TopicCollection.ofTopicIds(List.of(byName.topicId()))).allTopicIds()).get(byName.topicId());
        Steps.same(List.of(byId.name(), byId.partitions().size(), byId.isInternal()), List.of(topic, 2, false));
        var part = byId.partitions().get(0);
        Steps.same(List.of(part.isr().size(), part.replicas().size()), List.of(1, 1));
        return null;
    }

    private Object refusals() throws Exception {
        Steps.refused(TopicExistsException.class, () -> create(new NewTopic(steps.named("admin"), 1, (short) 1), false));
        Steps.refused(InvalidPartitionsException.class, () -> create(new NewTopic(steps.named("none"), 0, (short) 1), false));
        Steps.refused(InvalidConfigurationException.class,
            () -> create(new NewTopic(steps.named("none"), 1, (short) 1).configs(Map.of("no.such.config", "1")), false));
        Steps.refused(InvalidConfigurationException.class,
            () -> create(new NewTopic(steps.named("none"), 1, (short) 1).configs(Map.of("retention.ms", "long")), false));
        create(new NewTopic(steps.named("none"), 1, (short) 1), true); // checked only
        Steps.refused(UnknownTopicOrPartitionException.class,
            () -> Connections.get(to.admin.describeTopics(List.of(steps.named("none"))).allTopicNames()));
        return null;
    }

    private Object create(NewTopic topic, boolean checkOnly) throws Exception {
        return Connections.get(to.admin.createTopics(List.of(topic), new CreateTopicsOptions().validateOnly(checkOnly)).all());
    }

    private Object partitions() throws Exception {
        String topic = steps.named("admin");
        Connections.get(to.admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all());
        Steps.eventually("4 partitions", () -> Connections.get(to.admin.describeTopics(List.of(topic)).allTopicNames()).get(topic).partitions().size() == 4);
        Steps.refused(InvalidPartitionsException.class, () -> Connections.get(to.admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all()));
        return null;
    }

    private ConfigEntry config(ConfigResource resource, String name) throws Exception {
        return Connections.get(to.admin.describeConfigs(List.of(resource)).all()).get(resource).get(name);
    }

    private void change(ConfigResource resource, AlterConfigOp.OpType kind, String name, String value) throws Exception {
        Connections.get(to.admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry(name, value), kind)))).all());
    }

    private Object configs() throws Exception {
        var topic = new ConfigResource(ConfigResource.Type.TOPIC, steps.named("admin"));
        Steps.same(config(topic, "retention.ms").value(), "3600000");
        Steps.same(config(topic, "retention.ms").source(), ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG);
        change(topic, AlterConfigOp.OpType.SET, "retention.ms", "7200000");
        Steps.eventually("the new value", () -> config(topic, "retention.ms").value().equals("7200000"));
        change(topic, AlterConfigOp.OpType.APPEND, "cleanup.policy", "compact");
        Steps.eventually("both policies", () -> config(topic, "cleanup.policy").value().equals("delete,compact"));
        change(topic, AlterConfigOp.OpType.SUBTRACT, "cleanup.policy", "compact");
        Steps.eventually("one policy", () -> config(topic, "cleanup.policy").value().equals("delete"));
        change(topic, AlterConfigOp.OpType.DELETE, "retention.ms", null);
        Steps.eventually("the default", () -> config(topic, "retention.ms").isDefault());
        Steps.refused(InvalidConfigurationException.class, () -> {
            change(topic, AlterConfigOp.OpType.SET, "no.such.config", "1");
            return null;
        });
        return null;
    }

    private String node() throws Exception {
        return Connections.get(to.admin.describeCluster().nodes()).iterator().next().idString();
    }

    private Object brokerConfigs() throws Exception {
        var broker = new ConfigResource(ConfigResource.Type.BROKER, node());
        Collection<ConfigEntry> found = Connections.get(to.admin.describeConfigs(List.of(broker)).all()).get(broker).entries();
        Steps.same(found.isEmpty(), false);
        return found.size() + " configs";
    }

    private Object offsets() throws Exception {
        TopicPartition at = new TopicPartition(to.create("offsets", 1, Map.of("retention.ms", "-1")), 0);
        try (var producer = to.producer(Map.of())) {
            for (long time : new long[] {1000, 3000, 2000}) {
                producer.send(new ProducerRecord<>(at.topic(), 0, time, null, "x"));
            }
        }
        Steps.same(to.offset(at, OffsetSpec.earliest()), 0L);
        Steps.same(to.offset(at, OffsetSpec.latest()), 3L);
        Steps.same(to.offset(at, OffsetSpec.maxTimestamp()), 1L);
        Steps.same(to.offset(at, OffsetSpec.forTimestamp(1500)), 1L);
        Steps.same(to.offset(at, OffsetSpec.forTimestamp(5000)), -1L);
        Steps.same(to.offset(at, OffsetSpec.earliestLocal()), 0L);
        Steps.same(to.offset(at, OffsetSpec.latestTiered()), -1L);
        return null;
    }

    private Object deleteRecords() throws Exception {
        TopicPartition at = new TopicPartition(to.create("trim"), 0);
        to.send(at.topic(), Map.of(), "a", "b", "c");
        Steps.same(Connections.get(to.admin.deleteRecords(Map.of(at, RecordsToDelete.beforeOffset(2))).lowWatermarks().get(at)).lowWatermark(), 2L);
        Steps.same(List.of(to.offset(at, OffsetSpec.earliest()), to.everything(at.topic())), List.of(2L, List.of("c")));
        Connections.get(to.admin.deleteRecords(Map.of(at, RecordsToDelete.beforeOffset(-1))).all());
        Steps.same(to.everything(at.topic()), List.of());
        return null;
    }

    private Object logDirs() throws Exception {
        TopicPartition at = new TopicPartition(to.create("sized"), 0);
        to.send(at.topic(), Map.of(), "x".repeat(1000));
        int node = Integer.parseInt(node());
        var dirs = Connections.get(to.admin.describeLogDirs(List.of(node)).allDescriptions()).get(node);
        Steps.same(dirs.values().stream().anyMatch(d -> d.replicaInfos().containsKey(at) && d.replicaInfos().get(at).size() > 1000), true);
        OptionalLong usable = dirs.values().iterator().next().usableBytes();
        return "usable bytes known: " + usable.isPresent();
    }

    private Object quotas() throws Exception {
        var entity = new ClientQuotaEntity(Map.of(ClientQuotaEntity.CLIENT_ID, steps.named("quota")));
        var filter = ClientQuotaFilter.containsOnly(List.of(ClientQuotaFilterComponent.ofEntity(ClientQuotaEntity.CLIENT_ID, steps.named("quota"))));
        for (Double value : new Double[] {1e6, null}) {
            var change = new ClientQuotaAlteration(entity, List.of(new ClientQuotaAlteration.Op("producer_byte_rate", value)));
            Connections.get(to.admin.alterClientQuotas(List.of(change)).all());
            Map<ClientQuotaEntity, Map<String, Double>> want = value == null ? Map.of() : Map.of(entity, Map.of("producer_byte_rate", value));
            Steps.eventually("the quota " + value, () -> Connections.get(to.admin.describeClientQuotas(filter).entities()).equals(want));
        }
        return null;
    }

    private Object scram() throws Exception {
        String user = steps.named("user");
        var info = new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096);
        Connections.get(to.admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(user, info, "secret"))).all());
        Steps.eventually("the user", () -> Connections.get(to.admin.describeUserScramCredentials(List.of(user)).description(user)).credentialInfos().equals(List.of(info)));
        Connections.get(to.admin.alterUserScramCredentials(List.of(new UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_512))).all());
        Steps.eventually("no user", () -> !Connections.get(to.admin.describeUserScramCredentials().users()).contains(user));
        return null;
    }

    private Object acls() throws Exception {
        var binding = new AclBinding(new ResourcePattern(ResourceType.TOPIC, steps.named("acl"), PatternType.PREFIXED),
            new AccessControlEntry("User:somebody", "*", AclOperation.READ, AclPermissionType.ALLOW));
        Connections.get(to.admin.createAcls(List.of(binding)).all());
        Steps.eventually("the ACL", () -> Set.copyOf(Connections.get(to.admin.describeAcls(binding.toFilter()).values())).equals(Set.of(binding)));
        Steps.same(List.copyOf(Connections.get(to.admin.deleteAcls(List.of(binding.toFilter())).all())), List.of(binding));
        Steps.eventually("no ACL", () -> Connections.get(to.admin.describeAcls(binding.toFilter()).values()).isEmpty());
        return null;
    }

    private Object configResources() throws Exception {
        var found = Connections.get(to.admin.listConfigResources(Set.of(ConfigResource.Type.TOPIC), new org.apache.kafka.clients.admin.ListConfigResourcesOptions()).all());
        Steps.same(found.stream().anyMatch(r -> r.name().equals(steps.named("admin"))), true);
        return null;
    }

    private Object delete() throws Exception {
        String topic = steps.named("admin");
        Connections.get(to.admin.deleteTopics(List.of(topic)).all());
        Steps.eventually("it to go", () -> !Connections.get(to.admin.listTopics().names()).contains(topic));
        String other = to.create("by-id");
        var id = Connections.get(to.admin.describeTopics(List.of(other)).allTopicNames()).get(other).topicId();
        Connections.get(to.admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all());
        Steps.eventually("it to go", () -> !Connections.get(to.admin.listTopics().names()).contains(other));
        return null;
    }

    private Object reassignments() throws Exception {
        Steps.same(Connections.get(to.admin.listPartitionReassignments().reassignments()).isEmpty(), true);
        var at = new TopicPartition(steps.named("trim"), 0);
        var answer = Connections.get(to.admin.electLeaders(ElectionType.PREFERRED, Set.of(at)).partitions()).get(at);
        return answer == null || answer.isEmpty() ? "elected" : answer.get().getClass().getSimpleName(); // ElectionNotNeeded
    }

    private Object quorum() throws Exception {
        return "leader " + Connections.get(to.admin.describeMetadataQuorum().quorumInfo()).leaderId();
    }
}
