package check;

import com.microsoft.store.partnercenter.IAggregatePartner;
import com.microsoft.store.partnercenter.IPartnerCredentials;
import com.microsoft.store.partnercenter.PartnerService;
import com.microsoft.store.partnercenter.customers.ICustomer;
import com.microsoft.store.partnercenter.exception.PartnerException;
import com.microsoft.store.partnercenter.models.customers.Customer;
import com.microsoft.store.partnercenter.models.customers.CustomerPartnerRelationship;
import com.microsoft.store.partnercenter.models.entitlements.Entitlement;
import com.microsoft.store.partnercenter.models.subscriptions.Subscription;
import com.microsoft.store.partnercenter.models.subscriptions.SubscriptionStatus;
import com.microsoft.store.partnercenter.requestcontext.IRequestContext;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.joda.time.DateTime;

/**
 * Lists and fetches customers, subscriptions and entitlements, suspends a customer's subscriptions
 * and removes the relationship, all through Microsoft's SDK. Ends non-zero at the first surprise.
 *
 * <p>Arguments: root URL, token endpoint, client id, client secret, refresh token.
 */
public final class Check {
  private Check() {}

  public static void main(String[] arguments) throws Exception {
    if (arguments.length != 5) {
      throw new IllegalArgumentException("root tokenEndpoint clientId clientSecret refreshToken");
    }
    PartnerService.getInstance().setApiRootUrl(arguments[0]);
    String token = token(arguments[1], arguments[2], arguments[3], arguments[4]);
    IAggregatePartner partner =
        PartnerService.getInstance().createPartnerOperations(new Bearer(token));

    String id = null;
    int customers = 0;
    for (Customer customer : partner.getCustomers().get().getItems()) {
      id = id == null ? customer.getId() : id;
      customers++;
    }
    expect(customers > 0, "customers are listed");
    ICustomer one = partner.getCustomers().byId(id);
    expect(id.equals(one.get().getId()), "a customer is fetched");
    expect(
        one.get().getRelationshipToPartner() == CustomerPartnerRelationship.RESELLER,
        "the customer is related");

    for (Entitlement entitlement : one.getEntitlements().get().getItems()) {
      expect(entitlement.getQuantity() != null, "an entitlement has a quantity");
    }

    expectRefusal(one, "removal is refused while subscriptions are active");
    for (Subscription listed : one.getSubscriptions().get().getItems()) {
      Subscription subscription = one.getSubscriptions().byId(listed.getId()).get();
      expect(listed.getId().equals(subscription.getId()), "a subscription is fetched");
      if (subscription.getStatus() != SubscriptionStatus.ACTIVE) {
        continue; // An add-on that went with its parent.
      }
      subscription.setStatus(SubscriptionStatus.SUSPENDED);
      one.getSubscriptions().byId(subscription.getId()).patch(subscription);
      expect(
          one.getSubscriptions().byId(subscription.getId()).get().getStatus()
              == SubscriptionStatus.SUSPENDED,
          "a subscription is suspended");
    }
    remove(one);
    System.out.println("ok: the relationship is removed");
    expectRefusal(one, "a second removal is refused");
  }

  private static void remove(ICustomer customer) {
    Customer change = new Customer();
    change.setRelationshipToPartner(CustomerPartnerRelationship.NONE);
    customer.patch(change);
  }

  private static void expectRefusal(ICustomer customer, String what) {
    try {
      remove(customer);
    } catch (PartnerException refusal) {
      System.out.println("ok: " + what + ": " + refusal.getMessage());
      return;
    }
    throw new IllegalStateException("not so: " + what);
  }

  private static void expect(boolean holds, String what) {
    if (!holds) {
      throw new IllegalStateException("not so: " + what);
    }
    System.out.println("ok: " + what);
  }

  private static String token(String endpoint, String client, String secret, String refresh)
      throws Exception {
    String form =
        Map.of(
                "grant_type", "refresh_token",
                "client_id", client,
                "client_secret", secret,
                "refresh_token", refresh,
                "resource", "https://api.partnercenter.microsoft.com")
            .entrySet()
            .stream()
            .map(e -> e.getKey() + "=" + URLEncoder.encode(e.getValue(), StandardCharsets.UTF_8))
            .collect(Collectors.joining("&"));
    HttpRequest request =
        HttpRequest.newBuilder(URI.create(endpoint))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(HttpRequest.BodyPublishers.ofString(form))
            .build();
    HttpResponse<String> answer =
        HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
    Matcher token = Pattern.compile("\"access_token\":\"([^\"]+)\"").matcher(answer.body());
    expect(token.find(), "a token is issued");
    return token.group(1);
  }

  /** A token that was obtained outside the SDK. */
  private record Bearer(String token) implements IPartnerCredentials {
    @Override
    public String getPartnerServiceToken() {
      return token;
    }

    @Override
    public DateTime getExpiresAt() {
      return DateTime.now().plusHours(1);
    }

    @Override
    public boolean isExpired() {
      return false;
    }

    @Override
    public void onCredentialsRefreshNeeded(
        IPartnerCredentials credentials, IRequestContext context) {
      throw new IllegalStateException("the token does not expire during this check");
    }
  }
}
